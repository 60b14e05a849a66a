import { describe, expect, it } from 'vitest'
import type { Channel, Client } from '../../../support/authority.ts'
import { connectBytes, packet, PUBLISH, RawClient, text } from '../../../support/mqtt-packets.ts'
import { addMember, topicOf, useGateway, useRawClients } from '../support.ts'
import type { TestGateway } from '../support.ts'

let gateway: TestGateway
let channel: Channel
let member: Client
useGateway((started) => {
  gateway = started
  channel = gateway.tables.addChannel()
  member = addMember(gateway.tables, channel)
})
const open = useRawClients(() => gateway)

const ILL_FORMED: [string, number[]][] = [
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['an overlong form', [0xc0, 0xaf]],
  ['a continuation byte alone', [0x80]],
  ['a sequence that ends too soon', [0xe2, 0x82]],
  ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['U+0000', [0x61, 0x00]],
]

const property = (identifier: number, ...value: number[]): number[] => [
  value.length + 1,
  identifier,
  ...value,
]

/** Where a client writes strings, behind CONNECT: the packet around the string. */
const PLACES: [string, 'both' | 'MQTT 5', (version: 4 | 5, value: number[]) => number[]][] = [
  ['the topic of PUBLISH', 'both', (v, value) => packet(0x30, ...value, ...(v === 5 ? [0] : []))],
  ['a filter of SUBSCRIBE', 'both', (v, value) => packet(0x82, 0, 1, ...(v === 5 ? [0] : []), ...value, 0)],
  ['a filter of UNSUBSCRIBE', 'both', (v, value) => packet(0xa2, 0, 1, ...(v === 5 ? [0] : []), ...value)],
  ['a content type', 'MQTT 5', (_v, value) => packet(0x30, ...text('a'), ...property(0x03, ...value))],
  ['a response topic', 'MQTT 5', (_v, value) => packet(0x30, ...text('a'), ...property(0x08, ...value))],
  [
    'the name of a user property',
    'MQTT 5',
    (_v, value) => packet(0x30, ...text('a'), ...property(0x26, ...value, ...text('b'))),
  ],
  [
    'the value of a user property',
    'MQTT 5',
    (_v, value) => packet(0x30, ...text('a'), ...property(0x26, ...text('b'), ...value)),
  ],
  [
    'the reason string of PUBACK',
    'MQTT 5',
    (_v, value) => packet(0x40, 0, 1, 0, ...property(0x1f, ...value)),
  ],
  ['the reason string of DISCONNECT', 'MQTT 5', (_v, value) => packet(0xe0, 0, ...property(0x1f, ...value))],
]

describe.each([4, 5] as const)('a string, protocol level %i,', (version) => {
  const own = PLACES.filter(([, which]) => which === 'both' || version === 5)
  it.each(own)('that is ill-formed ends the connection as %s', async (_where, _which, around) => {
    for (const [what, bytes] of ILL_FORMED) {
      const raw = await open(version, member, { clientId: 'sick' })
      raw.write(around(version, text(bytes)))
      if (version === 5) expect((await raw.next('disconnect')).reasonCode, what).toBe(0x81)
      await raw.closed()
      expect(raw.packets, what).toEqual([])
    }
  })

  const noProperties = version === 5 ? [0] : []
  it.each<[string, number, (value: number[]) => number[]]>([
    ['client identifier', 0xc2, (value) => [...value, ...text(member.id), ...text(member.secret)]],
    ['user name', 0xc2, (value) => [...text('x'), ...value, ...text(member.secret)]],
    [
      'will topic',
      0xc6,
      (value) => [
        ...text('x'),
        ...noProperties,
        ...value,
        ...text(''),
        ...text(member.id),
        ...text(member.secret),
      ],
    ],
  ])('that is ill-formed refuses a CONNECT as %s', async (_where, flags, payload) => {
    for (const [what, bytes] of ILL_FORMED) {
      const raw = new RawClient(gateway.port, version)
      raw.write(connectBytes({ level: version, flags, rest: [...noProperties, ...payload(text(bytes))] }))
      if (version === 5) expect((await raw.next('connack')).reasonCode, what).toBe(0x81)
      await raw.closed()
      expect(raw.packets, what).toEqual([])
    }
  })

  it('keeps U+FEFF wherever it stands, and is compared with it', async () => {
    const raw = await open(version, member, { clientId: 'bom' })
    const [marked, plain] = [topicOf(channel, '\u{feff}bom'), topicOf(channel, 'bom')]
    await raw.subscribe([marked])
    await raw.publish(plain)
    await raw.publish(marked, { payload: '\u{feff}x' })
    const message = await raw.message()
    expect([message.topic, message.text]).toEqual([marked, '\u{feff}x'])
    expect(raw.packets).toEqual([])
  })

  it('is compared character by character: no case, no normal form, no empty level is put right', async () => {
    const raw = await open(version, member, { clientId: 'compare' })
    await raw.subscribe([topicOf(channel, 'caf\u{e9}'), topicOf(channel, 'end')])
    const others = ['cafe\u{301}', 'CAF\u{c9}', 'caf\u{e9}/', '/caf\u{e9}', 'caf\u{e9} ', 'cafe']
    for (const other of others) await raw.publish(topicOf(channel, other))
    await raw.publish(topicOf(channel, 'caf\u{e9}'), { payload: 'same' })
    await raw.publish(topicOf(channel, 'end'))
    expect((await raw.message()).text).toBe('same')
    expect((await raw.message()).topic).toBe(topicOf(channel, 'end'))
  })

  it('may be a long topic; one that is too long for the bus is refused by itself', async () => {
    const raw = await open(version, member, { clientId: 'long' })
    const [long, tooLong] = [topicOf(channel, 'x'.repeat(3_000)), topicOf(channel, 'x'.repeat(60_000))]
    expect(await raw.subscribe([long, tooLong])).toEqual([1, version === 5 ? 0x8f : 0x80])
    await raw.publish(long, { payload: 'far' })
    expect((await raw.message()).topic).toBe(long)
    raw.send({ ...PUBLISH, topic: tooLong })
    if (version === 5) expect((await raw.next('puback')).reasonCode).toBe(0x90)
    else await raw.closed()
  })
})

describe('a number of variable length', () => {
  it.each([
    ['the properties of PUBLISH', packet(0x30, ...text('a'), 0x80, 0x00)],
    ['a subscription identifier', packet(0x82, 0, 1, 3, 0x0b, 0x81, 0x00, ...text('a'), 0)],
    ['a packet', [0xc0, 0x80, 0x00]],
    ['properties of five bytes', packet(0x30, ...text('a'), 0x80, 0x80, 0x80, 0x80, 0x01)],
  ])(
    'that is longer than it must be ends the connection as the length of %s, MQTT 5',
    async (_what, bytes) => {
      const raw = await open(5, member, { clientId: 'padded' })
      raw.write(bytes)
      expect((await raw.next('disconnect')).reasonCode).toBe(0x81)
      await raw.closed()
    },
  )
})

describe.each([4, 5] as const)('reserved flags, protocol level %i,', (version) => {
  const p5 = version === 5 ? [0] : []
  it.each<[string, number[]]>([
    ['PUBACK', packet(0x41, 0, 1)],
    ['PUBREC', packet(0x52, 0, 1)],
    ['PUBREL', packet(0x60, 0, 1)],
    ['PUBCOMP', packet(0x74, 0, 1)],
    ['SUBSCRIBE', packet(0x80, 0, 1, ...p5, ...text('a'), 0)],
    ['UNSUBSCRIBE', packet(0xa0, 0, 1, ...p5, ...text('a'))],
    ['PINGREQ', packet(0xc1)],
    ['DISCONNECT', packet(0xe1)],
  ])('that are set wrong end the connection as those of %s', async (_what, bytes) => {
    const raw = await open(version, member, { clientId: 'flags' })
    raw.write(bytes)
    if (version === 5) expect((await raw.next('disconnect')).reasonCode).toBe(0x81)
    await raw.closed()
    expect(raw.packets).toEqual([])
  })

  it('that are set wrong end the connection as those of CONNECT', async () => {
    const raw = new RawClient(gateway.port, version)
    const bytes = connectBytes({
      level: version,
      rest: [...p5, ...text('x'), ...text(member.id), ...text(member.secret)],
    })
    raw.write([0x11, ...bytes.slice(1)])
    await raw.closed()
    expect(raw.packets).toEqual([])
  })
})

it('a CONNECT of MQTT 5 whose length is longer than it must be is refused', async () => {
  const raw = new RawClient(gateway.port, 5)
  const [first = 0, length = 0, ...rest] = connectBytes({
    level: 5,
    rest: [0, ...text('x'), ...text(member.id), ...text(member.secret)],
  })
  expect(length).toBeLessThan(128)
  raw.write([first, length | 0x80, 0, ...rest])
  expect((await raw.next('connack')).reasonCode).toBe(0x81)
  await raw.closed()
})
