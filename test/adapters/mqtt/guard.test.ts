import { describe, expect, it } from 'vitest'
import type { Client } from '../../support/authority.ts'
import { connectBytes, packet, text } from '../../support/mqtt-packets.ts'
import {
  addMember,
  connectPacket,
  encode,
  eventually,
  LIMITS,
  PUBLISH,
  RawClient,
  topicOf,
  useGateway,
} from './support.ts'
import type { TestGateway } from './support.ts'

let gateway: TestGateway
let client: Client
useGateway((started) => {
  gateway = started
  client = gateway.tables.addClient()
})

const connect = (parts: Partial<Parameters<typeof connectBytes>[0]>): number[] =>
  connectBytes({ rest: payload(), ...parts })

function payload(identifier: string | readonly number[] = 'x'): number[] {
  return [...text(identifier), ...text(client.id), ...text(client.secret)]
}

describe('a CONNECT that is malformed', () => {
  it.each<[string, () => number[], 4 | 5, object | undefined]>([
    ['names another protocol', () => connect({ name: 'MQXX' }), 4, { returnCode: 1 }],
    [
      'names the protocol of 3.1 with the level of 3.1.1',
      () => connect({ name: 'MQIsdp' }),
      4,
      { returnCode: 1 },
    ],
    ['has level 6', () => connect({ level: 6 }), 5, { reasonCode: 0x84 }],
    ['has level 2', () => connect({ level: 2 }), 4, { returnCode: 1 }],
    ['has level 0', () => connect({ level: 0 }), 4, { returnCode: 1 }],
    ['sets the reserved flag', () => connect({ flags: 0xc3 }), 4, undefined],
    ['asks for will QoS 3', () => connect({ flags: 0xde }), 4, undefined],
    ['has flags of a will without one', () => connect({ flags: 0xca }), 4, undefined],
    [
      'has a password without user name',
      () => connect({ flags: 0x42, rest: [...text('x'), ...text('y')] }),
      4,
      undefined,
    ],
    ['ends before its password', () => connect({ rest: [...text('x'), ...text(client.id)] }), 4, undefined],
    ['goes on behind its password', () => connect({ rest: [...payload(), 0] }), 4, undefined],
    ['has U+0000 in its identifier', () => connect({ rest: payload([0x61, 0]) }), 4, undefined],
    ['has a surrogate in its identifier', () => connect({ rest: payload([0xed, 0xa0, 0x80]) }), 4, undefined],
    ['has no well-formed UTF-8', () => connect({ rest: payload([0xff]) }), 4, undefined],
    [
      'cuts its session expiry short',
      () => connect({ level: 5, rest: [3, 0x11, 0, 0] }),
      5,
      { reasonCode: 0x81 },
    ],
    [
      'has properties longer than itself',
      () => connect({ level: 5, rest: [100, 0x11] }),
      5,
      { reasonCode: 0x81 },
    ],
    [
      'has an unknown property',
      () => connect({ level: 5, rest: [2, 0x7f, 0, ...payload()] }),
      5,
      { reasonCode: 0x81 },
    ],
    [
      'has a property twice',
      () => connect({ level: 5, rest: [6, 0x21, 0, 9, 0x21, 0, 9, ...payload()] }),
      5,
      { reasonCode: 0x82 },
    ],
    [
      'has Receive Maximum 0',
      () => connect({ level: 5, rest: [3, 0x21, 0, 0, ...payload()] }),
      5,
      { reasonCode: 0x82 },
    ],
    [
      'asks for enhanced authentication',
      () => connect({ level: 5, rest: [4, 0x15, ...text('a'), ...payload()] }),
      5,
      { reasonCode: 0x8c },
    ],
  ])('because it %s is refused', async (_what, bytes, version, answer) => {
    const raw = new RawClient(gateway.port, version)
    raw.write(bytes())
    if (answer) expect(await raw.next('connack')).toMatchObject(answer)
    await raw.closed()
    expect(raw.packets).toEqual([])
  })

  it.each([4, 5])('is not what a good one looks like, level %i', async (level) => {
    const raw = new RawClient(gateway.port, level === 4 ? 4 : 5)
    raw.write(connect({ level, rest: level === 5 ? [0, ...payload()] : payload() }))
    await raw.next('connack')
    raw.end()
  })

  it.each([
    ['PUBLISH', [0x30, 3, 0, 1, 0x61]],
    ['PINGREQ', [0xc0, 0]],
    ['a packet of type 0', [0x00, 0]],
    ['HTTP', [...Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]],
    ['a TLS hello', [0x16, 3, 1, 2, 0, 1, 0]],
    ['a remaining length of five bytes', [0x10, 0x80, 0x80, 0x80, 0x80, 0x01]],
    ['a CONNECT of 100 MB', [0x10, 0x80, 0xc8, 0xd7, 0x2f]],
    ['a CONNECT over its limit', [0x10, 0xff, 0xff, 0x01]],
  ])('when it is %s ends the connection without an answer', async (_what, bytes) => {
    const raw = new RawClient(gateway.port)
    raw.write(bytes)
    await raw.closed()
    expect(raw.packets).toEqual([])
  })
})

describe.each([4, 5] as const)('a packet that is malformed, protocol level %i', (version) => {
  const p5 = version === 5 ? [0] : []
  const cases: [string, () => number[], 4 | 5 | undefined, number][] = [
    ['CONNECT again', () => [...encode(version, connectPacket(version, client))], undefined, 0x82],
    ['a reserved type', () => [0xf0, 0], undefined, 0x81],
    ['CONNACK', () => [0x20, 2, 0, 0], undefined, 0x81],
    ['SUBACK', () => [0x90, 3, 0, 1, 0], undefined, 0x81],
    ['PUBREL with wrong flags', () => [0x60, 2, 0, 1], undefined, 0x81],
    ['SUBSCRIBE with wrong flags', () => packet(0x80, 0, 1, ...p5, ...text('a'), 0), undefined, 0x81],
    ['PUBLISH with QoS 3', () => packet(0x36, ...text('a'), 0, 1, ...p5), undefined, 0x81],
    ['PUBLISH with packet identifier 0', () => packet(0x32, ...text('a'), 0, 0, ...p5), undefined, 0x81],
    ['PUBLISH without a topic', () => packet(0x30, ...text(''), ...p5), undefined, 0x82],
    ['PUBLISH with DUP and QoS 0', () => packet(0x38, ...text('a'), ...p5), undefined, 0x81],
    ['PUBLISH with U+0000 in its topic', () => packet(0x30, ...text([0x61, 0]), ...p5), undefined, 0x81],
    [
      'PUBLISH with a surrogate in its topic',
      () => packet(0x30, ...text([0xed, 0xa0, 0x80]), ...p5),
      undefined,
      0x81,
    ],
    [
      'SUBSCRIBE with U+0000 in its filter',
      () => packet(0x82, 0, 1, ...p5, ...text([0]), 0),
      undefined,
      0x81,
    ],
    ['PUBLISH with a topic longer than itself', () => packet(0x30, 0, 9, 0x61), undefined, 0x81],
    ['PUBLISH of no bytes', () => [0x30, 0], undefined, 0x81],
    ['PUBACK with packet identifier 0', () => packet(0x40, 0, 0), undefined, 0x81],
    ['PUBACK of one byte', () => packet(0x40, 0), undefined, 0x81],
    ['PUBREL of no bytes', () => packet(0x62), undefined, 0x81],
    ['SUBSCRIBE without filters', () => packet(0x82, 0, 1, ...p5), undefined, 0x81],
    ['SUBSCRIBE with packet identifier 0', () => packet(0x82, 0, 0, ...p5, ...text('a'), 0), undefined, 0x81],
    ['SUBSCRIBE with QoS 3', () => packet(0x82, 0, 1, ...p5, ...text('a'), 3), undefined, 0x81],
    ['SUBSCRIBE without options', () => packet(0x82, 0, 1, ...p5, ...text('a')), undefined, 0x81],
    ['UNSUBSCRIBE without filters', () => packet(0xa2, 0, 1, ...p5), undefined, 0x81],
    ['PINGREQ with a body', () => packet(0xc0, 1), undefined, 0x81],
    ['a remaining length of five bytes', () => [0x30, 0x80, 0x80, 0x80, 0x80, 1], undefined, 0x81],
    ['a packet of 256 MB', () => [0x30, 0xff, 0xff, 0xff, 0x7f], undefined, 0x95],
    ['DISCONNECT longer than its fields', () => packet(0xe0, 0, 0, 0), undefined, 0x81],
    ['PUBLISH with a truncated response topic', () => packet(0x30, ...text('a'), 3, 0x08, 0, 9), 5, 0x81],
    ['PUBLISH with topic alias 0', () => packet(0x30, ...text('a'), 3, 0x23, 0, 0), 5, 0x82],
    ['PUBLISH with a subscription identifier', () => packet(0x30, ...text('a'), 2, 0x0b, 1), 5, 0x81],
    [
      'PUBLISH with a property past the properties',
      () => packet(0x30, ...text('a'), 2, 0x02, 0, 0, 0, 0),
      5,
      0x81,
    ],
    [
      'SUBSCRIBE with subscription identifier 0',
      () => packet(0x82, 0, 1, 2, 0x0b, 0, ...text('a'), 0),
      5,
      0x82,
    ],
    [
      'SUBSCRIBE with No Local on a shared subscription',
      () => packet(0x82, 0, 1, 0, ...text('$share/g/a'), 4),
      5,
      0x82,
    ],
    ['AUTH', () => packet(0xf0, 0, 0), 5, 0x81],
  ]
  const own = cases.filter(([, , only]) => only === undefined || only === version)
  it.each(own)('(%s) ends its connection and no other', async (_what, bytes, _only, reason) => {
    const healthy = new RawClient(gateway.port, version)
    await healthy.connect(client, { clientId: 'healthy' })
    const raw = new RawClient(gateway.port, version)
    await raw.connect(client, { clientId: 'sick' })
    raw.write(bytes())
    if (version === 5) expect((await raw.next('disconnect')).reasonCode).toBe(reason)
    await raw.closed()
    expect(raw.packets).toEqual([])
    healthy.send({ cmd: 'pingreq' })
    await healthy.next('pingresp')
    healthy.end()
  })

  it('does not take those before it along', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port, version)
    await raw.connect(member)
    raw.send({
      ...PUBLISH,
      topic: topicOf(channel),
      qos: 1,
      messageId: 1,
    })
    await raw.next('puback')
    raw.write([0xf0, 0])
    await raw.closed()
  })
})

describe('the guard', () => {
  it('takes packets in any cut', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port, 4)
    const bytes = encode(
      4,
      connectPacket(4, member),
      { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: topicOf(channel, '#'), qos: 1 }] },
      {
        ...PUBLISH,
        topic: topicOf(channel, 'ä'),
        payload: 'y'.repeat(300),
        qos: 1,
        messageId: 2,
      },
      { cmd: 'pingreq' },
    )
    for (const byte of bytes) {
      raw.write([byte])
      await new Promise((resolve) => setImmediate(resolve))
    }
    await raw.next('connack')
    await raw.next('suback')
    await raw.next('puback')
    expect((await raw.next('publish')).topic).toBe(topicOf(channel, 'ä'))
    await raw.next('pingresp')
    raw.end()
  })

  it('takes packets up to the limit, and tells MQTT 5 why not above', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const raw = new RawClient(gateway.port, 5)
    await raw.connect(member)
    const publish = {
      ...PUBLISH,
      topic: topicOf(channel),
      qos: 1,
      messageId: 2,
    } as const
    const overhead = encode(5, { ...publish, payload: '' }).length + 2
    raw.send({ ...publish, payload: 'x'.repeat(LIMITS.maxPacketBytes - overhead) })
    await raw.next('puback')
    raw.send({ ...publish, payload: 'x'.repeat(LIMITS.maxPacketBytes - overhead + 1) })
    expect((await raw.next('disconnect')).reasonCode).toBe(0x95)
    await raw.closed()
  })

  it('looks at nothing behind CONNECT before the client is known', async () => {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    let open = (): void => undefined
    gateway.tables.gate = () =>
      new Promise((resolve) => {
        open = resolve
      })
    const raw = new RawClient(gateway.port, 4)
    raw.send(connectPacket(4, { ...member, secret: 'wrong' }))
    raw.send({ ...PUBLISH, topic: topicOf(channel), qos: 0 })
    // One question, who is it, and none about the channel.
    const asked = gateway.tables.asked
    await eventually(() => expect(gateway.tables.asked).toBe(asked + 1))
    open()
    expect(await raw.next('connack')).toMatchObject({ returnCode: 4 })
    await raw.closed()
    expect(gateway.tables.asked).toBe(asked + 1)
    gateway.tables.gate = () => Promise.resolve()
  })

  it('keeps secrets and payloads out of the log, and bounds its lines', () => {
    const lines = gateway.lines.join('\n')
    expect(lines).not.toContain(client.secret)
    expect(gateway.metrics.refused('mqtt', 'malformed_packet').value).toBeGreaterThan(20)
    expect(gateway.lines.filter((line) => line.includes('malformed_packet')).length).toBeLessThanOrEqual(40)
  })
})
