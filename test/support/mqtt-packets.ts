import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { generate, parser } from 'mqtt-packet'
import type { Packet } from 'mqtt-packet'
import type { Client } from './authority.ts'

/** MQTT on the level of packets and bytes, for what no client library would send. */

export type Version = 3 | 4 | 5
export type PacketOf<C extends Packet['cmd']> = Extract<Packet, { cmd: C }>

/** A PUBLISH to be completed with its topic. */
export const PUBLISH = {
  cmd: 'publish',
  payload: 'x',
  qos: 1,
  messageId: 1,
  dup: false,
  retain: false,
} as const

/** A string or binary data with its length in front. */
export function text(value: string | readonly number[]): number[] {
  const bytes = typeof value === 'string' ? [...Buffer.from(value)] : [...value]
  return [bytes.length >> 8, bytes.length & 0xff, ...bytes]
}

/** A Variable Byte Integer. */
export function variable(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest & 0x7f) | 0x80)
  return [...bytes, rest]
}

/** A whole packet: its first byte, the length of the body, the body. */
export function packet(first: number, ...body: number[]): number[] {
  return [first, ...variable(body.length), ...body]
}

export function encode(version: Version, ...packets: Packet[]): Buffer {
  return Buffer.concat(packets.map((each) => generate(each, { protocolVersion: version })))
}

export function connectPacket(
  version: Version,
  client: Pick<Client, 'id' | 'secret'>,
  options: Partial<PacketOf<'connect'>> = {},
): Packet {
  return {
    cmd: 'connect',
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version,
    clean: true,
    clientId: 'raw',
    keepalive: 60,
    username: client.id,
    password: Buffer.from(client.secret),
    ...options,
  }
}

/** CONNECT out of its parts, right or wrong; the flags are user name, password and Clean Start unless told otherwise. */
export function connectBytes(parts: {
  name?: string
  level?: number
  flags?: number
  keepAliveS?: number
  /** All that follows the keep alive: properties (MQTT 5) and payload. */
  rest: readonly number[]
}): number[] {
  const { name = 'MQTT', level = 4, flags = 0xc2, keepAliveS = 60, rest } = parts
  return packet(0x10, ...text(name), level, flags, keepAliveS >> 8, keepAliveS & 0xff, ...rest)
}

/** Enough for the packets whose bytes a test looks at. */
const MAX_HEARD_BYTES = 65_536

/** A connection that speaks in packets, well-formed or not, and hears what comes back. */
export class RawClient {
  readonly socket: Socket
  /** What came and was not asked for yet. */
  readonly packets: Packet[] = []
  /** What came first, as it came: mqtt-packet forgets the order of properties, and reserved bits. */
  bytes = Buffer.alloc(0)
  isClosed = false
  /** The answer to {@link connect}. */
  connack: PacketOf<'connack'> | undefined
  #onChange: () => void = () => undefined
  readonly #version: Version

  constructor(port: number, version: Version = 4) {
    this.#version = version
    this.socket = connectTcp(port, '127.0.0.1')
    this.socket.setNoDelay(true)
    const incoming = parser({ protocolVersion: version })
    incoming.on('packet', (each) => {
      this.packets.push(each)
      this.#onChange()
    })
    this.socket.on('data', (piece: Buffer) => {
      if (this.bytes.length < MAX_HEARD_BYTES) this.bytes = Buffer.concat([this.bytes, piece])
      incoming.parse(piece)
    })
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.isClosed = true
      this.#onChange()
    })
  }

  write(bytes: Uint8Array | readonly number[]): void {
    this.socket.write(bytes instanceof Uint8Array ? bytes : Uint8Array.from(bytes))
  }

  send(...packets: Packet[]): void {
    this.write(encode(this.#version, ...packets))
  }

  /** Signs in and waits for CONNACK. */
  async connect(
    client: Pick<Client, 'id' | 'secret'>,
    options: Partial<PacketOf<'connect'>> = {},
  ): Promise<PacketOf<'connack'>> {
    this.send(connectPacket(this.#version, client, options))
    this.connack = await this.next('connack')
    return this.connack
  }

  /** @returns the codes of SUBACK */
  async subscribe(
    topics: string | readonly string[],
    options: Partial<PacketOf<'subscribe'>['subscriptions'][number]> = {},
    properties: PacketOf<'subscribe'>['properties'] = {},
  ): Promise<unknown> {
    const subscriptions = [topics].flat().map((topic) => ({ topic, qos: 1 as const, ...options }))
    this.send({ cmd: 'subscribe', messageId: 1, subscriptions, properties })
    return (await this.next('suback')).granted
  }

  /** Publishes with QoS 1 and waits for PUBACK. */
  async publish(topic: string, options: Partial<PacketOf<'publish'>> = {}): Promise<PacketOf<'puback'>> {
    this.send({ ...PUBLISH, topic, ...options })
    return this.next('puback')
  }

  /** Takes the next message, whatever its QoS, and leaves the acknowledging to the caller. */
  async message(): Promise<PacketOf<'publish'> & { readonly text: string; readonly id: number }> {
    const publish = await this.next('publish')
    return { ...publish, text: publish.payload.toString(), id: publish.messageId ?? 0 }
  }

  async ping(): Promise<void> {
    this.send({ cmd: 'pingreq' })
    await this.next('pingresp')
  }

  /** Takes the first packet of the kind out of those that came, or waits for it. */
  async next<C extends Packet['cmd']>(cmd: C): Promise<PacketOf<C>> {
    for (;;) {
      const index = this.packets.findIndex((each) => each.cmd === cmd)
      if (index >= 0) return this.packets.splice(index, 1)[0] as PacketOf<C>
      if (this.isClosed) throw new Error(`connection closed while waiting for ${cmd}`)
      await new Promise<void>((resolve) => {
        this.#onChange = resolve
      })
    }
  }

  async closed(): Promise<void> {
    if (!this.isClosed) await once(this.socket, 'close')
  }

  end(): void {
    this.socket.destroy()
  }
}
