import type { Login } from '../job.ts'
import { open } from './socket.ts'
import type { Piecewise } from './socket.ts'

const CONNACK = 2
const PUBLISH = 3
const PUBACK = 4
const SUBACK = 9

/** MQTT 3.1.1, as little of it as makes load: what arrives is counted, and acknowledged in one write a read. */
export interface MqttClient extends Piecewise {
  subscribe(filter: string, qos: 0 | 1): Promise<void>
}

export interface MqttEvents {
  /** So many messages arrived. */
  onMessages?(count: number): void
  /** So many acknowledgements of what was published arrived. */
  onAcks?(count: number): void
}

export async function connectMqtt(
  port: number,
  clientId: string,
  { username, password }: Login,
  events: MqttEvents = {},
): Promise<MqttClient> {
  let onAnswer: (code: number) => void = () => undefined
  const answer = () => new Promise<number>((resolve) => (onAnswer = resolve))
  const connection = await open(port, (bytes) => {
    let at = 0
    let messages = 0
    let acks = 0
    const packetIds: number[] = []
    while (at + 2 <= bytes.length) {
      let length = 0
      let body = at + 1
      let byte: number
      let shift = 0
      do {
        byte = bytes[body++] ?? 0x80
        length += (byte & 0x7f) << shift
        shift += 7
      } while (byte >= 0x80 && body < bytes.length)
      if (byte >= 0x80 || body + length > bytes.length) break
      const first = bytes[at] ?? 0
      const type = first >> 4
      at = body + length
      if (type === PUBLISH) {
        messages += 1
        if (first & 0x06) packetIds.push(bytes.readUInt16BE(body + 2 + bytes.readUInt16BE(body)))
      } else if (type === PUBACK) acks += 1
      else if (type === CONNACK || type === SUBACK) onAnswer(bytes[at - 1] ?? 0x80)
    }
    if (packetIds.length > 0) connection.write(pubacks(packetIds))
    if (messages > 0) events.onMessages?.(messages)
    if (acks > 0) events.onAcks?.(acks)
    return at
  })
  const accepted = answer()
  connection.write(connectPacket(clientId, username, password))
  const code = await accepted
  if (code !== 0) throw new Error(`CONNACK ${code}`)
  return {
    ...connection,
    async subscribe(filter, qos) {
      const granted = answer()
      connection.write(packet(0x82, [Buffer.from([0, 1]), text(filter), Buffer.from([qos])]))
      const code = await granted
      if (code !== qos) throw new Error(`SUBACK ${code}`)
    },
  }
}

const text = (value: string) => {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

function packet(first: number, parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const length: number[] = []
  let rest = body.length
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
    rest >>= 7
  } while (rest > 0)
  return Buffer.concat([Buffer.from([first, ...length]), body])
}

const KEEP_ALIVE_S = 600

function connectPacket(clientId: string, username: string, password: string): Buffer {
  const hasLogin = username !== ''
  const head = Buffer.from([4, hasLogin ? 0xc2 : 0x02, KEEP_ALIVE_S >> 8, KEEP_ALIVE_S & 0xff])
  const login = hasLogin ? [text(username), text(password)] : []
  return packet(0x10, [text('MQTT'), head, text(clientId), ...login])
}

function pubacks(packetIds: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(packetIds.length * 4)
  packetIds.forEach((id, i) => {
    bytes.writeUInt16BE(0x40_02, i * 4)
    bytes.writeUInt16BE(id, i * 4 + 2)
  })
  return bytes
}

/** So many PUBLISH in a ring, packet identifiers from 1 on: a run of them leaves as one piece of memory that is there already. */
export class Ring {
  readonly #bytes: Buffer
  readonly #size: number
  readonly #count: number
  #next = 0

  constructor(topic: string, payload: Uint8Array, qos: 0 | 1, count: number) {
    const packets = Array.from({ length: count }, (_, i) =>
      packet(0x30 | (qos << 1), [
        text(topic),
        Buffer.from(qos ? [(i + 1) >> 8, (i + 1) & 0xff] : []),
        payload,
      ]),
    )
    this.#bytes = Buffer.concat(packets)
    this.#size = packets[0]?.length ?? 0
    this.#count = count
  }

  send(client: Piecewise, count: number): void {
    for (let left = count; left > 0;) {
      const run = Math.min(left, this.#count - this.#next)
      client.write(this.#bytes.subarray(this.#next * this.#size, (this.#next + run) * this.#size))
      this.#next = (this.#next + run) % this.#count
      left -= run
    }
  }
}
