import { connect } from 'node:net'
import { randomInt } from 'node:crypto'
import type { Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { addMember, connectPacket, encode, PUBLISH, RawClient, topicOf, useGateway } from './support.ts'
import type { TestGateway } from './support.ts'

/** The same run again: `SLUICE_FUZZ_SEED=<what was printed>`. */
const SEED = Number(process.env['SLUICE_FUZZ_SEED'] ?? randomInt(2 ** 31))
const SECONDS = Number(process.env['SLUICE_FUZZ_SECONDS'] ?? 6)
const CONCURRENT = 16

let gateway: TestGateway
useGateway(
  (started) => {
    gateway = started
  },
  { limits: { maxUnauthenticatedPerAddress: 1_000, maxConnections: 1_000 } },
)

/** Mulberry32: small, and the same everywhere. */
function createRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

const random = createRandom(SEED)

/** A session with a packet of every kind that a client sends, as separate packets. */
function session(version: 4 | 5, client: { id: string; secret: string }, topic: string): Buffer[] {
  const full = version === 5
  const will = {
    topic,
    payload: 'gone',
    qos: 1 as const,
    ...(full ? { properties: { willDelayInterval: 1, contentType: 'text/plain' } } : {}),
  }
  const publish = { ...PUBLISH, topic, payload: 'payload' } as const
  const properties = full
    ? { responseTopic: topic, correlationData: Buffer.from('id'), userProperties: { a: 'b' }, topicAlias: 1 }
    : undefined
  const packets: Packet[] = [
    connectPacket(version, client as Parameters<typeof connectPacket>[1], {
      clientId: `fuzz${random(4)}`,
      clean: random(2) === 0,
      will,
      ...(full ? { properties: { sessionExpiryInterval: random(3), receiveMaximum: 5 } } : {}),
    }),
    {
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [
        { topic: `${topic}/#`, qos: 2 },
        { topic: '#', qos: 1 },
      ],
      ...(full ? { properties: { subscriptionIdentifier: 4 } } : {}),
    },
    { ...publish, qos: 0 },
    { ...publish, qos: 1, messageId: 2, ...(properties ? { properties } : {}) },
    { ...publish, qos: 2, messageId: 3, retain: true },
    { cmd: 'pubrel', messageId: 3 },
    { cmd: 'puback', messageId: 1 },
    { cmd: 'pubrec', messageId: 2 },
    { cmd: 'pubcomp', messageId: 2 },
    { cmd: 'pingreq' },
    { cmd: 'unsubscribe', messageId: 4, unsubscriptions: [`${topic}/#`] },
    { cmd: 'disconnect', ...(full ? { reasonCode: 4, properties: { sessionExpiryInterval: 1 } } : {}) },
  ]
  return packets.map((packet) => encode(version, packet))
}

/** What follows the fixed header; whatever is there, when the packet is damaged already. */
function bodyOf(packet: Buffer): Buffer {
  let at = 1
  while (at < 5 && (packet[at] ?? 0) >= 0x80) at += 1
  return packet.subarray(at + 1)
}

function reframe(packet: Buffer, body: Buffer): Buffer {
  const head = [packet[0] ?? 0]
  let rest = body.length
  for (; rest >= 0x80; rest >>= 7) head.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([...head, rest]), body])
}

/** Damages one or a few packets, or the order of them. CONNECT is spared in half of the runs, so that more gets behind it. */
function mutate(packets: Buffer[]): Buffer {
  const first = random(2)
  for (let times = 1 + random(4); times > 0; times -= 1) {
    const index = first + random(packets.length - first)
    const packet = Buffer.from(packets[index] as Buffer)
    const at = random(packet.length)
    switch (random(8)) {
      case 0:
        packet[at] = (packet[at] ?? 0) ^ (1 << random(8))
        packets[index] = packet
        break
      case 1:
        packet[at] = random(256)
        packets[index] = packet
        break
      case 2:
        packets[index] = packet.subarray(0, at)
        break
      case 3:
        packets[index] = Buffer.concat([
          packet.subarray(0, at),
          Buffer.from([random(256)]),
          packet.subarray(at),
        ])
        break
      case 4:
        // Cut short with a length that agrees, so that the damage is behind the fixed header.
        packets[index] = reframe(packet, bodyOf(packet).subarray(0, random(bodyOf(packet).length + 1)))
        break
      case 5:
        packets.splice(index, 0, packet)
        break
      case 6: {
        const other = first + random(packets.length - first)
        packets[index] = packets[other] as Buffer
        packets[other] = packet
        break
      }
      default: {
        const body = Buffer.from(bodyOf(packet))
        if (body.length > 0) body[random(body.length)] = [0, 1, 0x7f, 0x80, 0xff][random(5)] ?? 0
        packets[index] = reframe(packet, body)
      }
    }
  }
  return Buffer.concat(packets)
}

/** Sends the bytes in some pieces, and waits until either side has had enough. */
function play(bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(gateway.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
    socket.resume()
    const cut = random(bytes.length + 1)
    socket.write(bytes.subarray(0, cut))
    setImmediate(() => {
      if (random(8) === 0) socket.destroy()
      else socket.end(bytes.subarray(cut))
    })
  })
}

describe('sessions that are damaged at random', () => {
  it(
    `hurt nobody but themselves (seed ${SEED})`,
    async () => {
      const channel = gateway.tables.addChannel()
      const member = addMember(gateway.tables, channel)
      const healthy = new RawClient(gateway.port, 5)
      await healthy.connect(addMember(gateway.tables, channel), { clientId: 'healthy' })
      const escaped: unknown[] = []
      const onEscape = (error: unknown): void => {
        escaped.push(error)
      }
      process.on('uncaughtException', onEscape)
      process.on('unhandledRejection', onEscape)
      const endsAt = Date.now() + SECONDS * 1_000
      let played = 0
      async function player(): Promise<void> {
        while (Date.now() < endsAt && escaped.length === 0) {
          const version = random(2) === 0 ? 4 : 5
          await play(mutate(session(version, member, topicOf(channel, 'fuzz'))))
          played += 1
        }
      }
      async function patient(): Promise<void> {
        for (let messageId = 1; Date.now() < endsAt; messageId = (messageId % 60_000) + 1) {
          const topic = topicOf(channel, 'healthy')
          healthy.send({ ...PUBLISH, topic, qos: 1, messageId })
          expect((await healthy.next('puback')).messageId).toBe(messageId)
        }
      }
      await Promise.all([patient(), ...Array.from({ length: CONCURRENT }, player)])
      process.off('uncaughtException', onEscape)
      process.off('unhandledRejection', onEscape)
      expect(escaped).toEqual([])
      expect(played).toBeGreaterThan(100)

      // Nothing reached the net below the guard, and nothing is left but the healthy client.
      const bugs = gateway.lines.filter((line) => line.includes('"level":50'))
      expect(bugs).toEqual([])
      await expect.poll(() => gateway.metrics.connections('mqtt').value).toBe(1)
      healthy.end()
    },
    SECONDS * 1_000 + 30_000,
  )
})
