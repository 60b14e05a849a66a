import * as fc from 'fast-check'
import { headers } from 'nats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { messageHeaders, nowNs, readMessage } from '../../../platform/bus/message.ts'
import type { Message } from '../../../platform/bus/message.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import { expiryLeft, MAX_PROPERTY_BYTES, MAX_USER_PROPERTIES } from '../../../platform/bus/properties.ts'
import type { MessageProperties } from '../../../platform/bus/properties.ts'
import { createChannelFeed } from '../../../platform/bus/subscriptions.ts'
import { createPublish } from '../../../adapters/publish.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'
import { eventually } from '../../support/eventually.ts'

const facts = {
  publisher: 'p',
  protocol: 'mqtt',
  contentType: '',
  receivedAtNs: nowNs(),
  qos: 0,
  retain: false,
} as const

const encode = (properties?: MessageProperties): string =>
  Buffer.from(
    (messageHeaders({ ...facts, properties }) as unknown as { encode(): Uint8Array }).encode(),
  ).toString()

/** What a NATS client that writes these headers says about its message. */
function readForeign(...lines: (readonly [string, string])[]): MessageProperties | undefined {
  const fields = headers()
  for (const [name, value] of lines) fields.append(name, value)
  return readMessage({ subject: 'm.d.c.c', headers: fields, data: Buffer.alloc(0) })?.properties
}

/** Reads the block as nats.js keeps it. */
function read(block: string): MessageProperties | undefined {
  const msg = { subject: 'm.d.c.c', data: Buffer.alloc(0), headers: undefined }
  const kept = { _rdata: Buffer.from(block), _msg: { hdr: Buffer.byteLength(block) } }
  return readMessage({ ...msg, ...kept })?.properties
}

/** What MQTT takes for a string: well-formed, without U+0000. */
const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((value) => !value.includes('\0'))
const anyText = fc.oneof(
  text,
  fc.constantFrom('\r\nSluice-Publisher: x', '%0d%0a', '=', ':', ' a ', '€\u{10ffff}'),
)
const properties = fc.record(
  {
    contentType: anyText,
    payloadFormat: fc.constantFrom(0 as const, 1 as const),
    expiryS: fc.nat(0xffff_ffff),
    responseTopic: anyText.filter((topic) => topic !== '' && !/[+#]/.test(topic)),
    correlationData: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    userProperties: fc.array(fc.tuple(anyText, anyText), { minLength: 1, maxLength: 10 }),
  },
  { requiredKeys: [] },
)

describe('properties of a message', () => {
  it('survive as headers, whatever a device writes in them, in order, and no other header comes of them', () => {
    fc.assert(
      fc.property(properties, (given) => {
        const block = encode(given)
        expect(block).toMatch(/^NATS\/1\.0\r\n([!-9;-~]+: [ -~]*\r\n)+\r\n$/)
        expect(block.match(/^Sluice-Publisher:/gm)).toHaveLength(1)
        expect(read(block)).toEqual(Object.keys(given).length === 0 ? undefined : given)
      }),
    )
  })

  it('cost a message without any not a byte', () => {
    expect(encode()).toBe(
      `NATS/1.0\r\nSluice-Publisher: p\r\nSluice-Protocol: mqtt\r\nSluice-Received-At: ${facts.receivedAtNs}\r\n\r\n`,
    )
    expect(read(encode())).toBeUndefined()
  })

  it.each<[string, readonly (readonly [string, string])[], MessageProperties | undefined]>([
    ['an expiry that is no number', [['Sluice-Message-Expiry', '-1']], {}],
    ['an expiry of more than 32 bits', [['Sluice-Message-Expiry', '4294967296']], {}],
    ['a payload format of 2', [['Sluice-Payload-Format', '2']], {}],
    ['a response topic with a wildcard', [['Sluice-Response-Topic', 'a/%23']], {}],
    ['an empty response topic', [['Sluice-Response-Topic', '']], {}],
    ['text with U+0000', [['Sluice-User-Property', 'a=%00']], {}],
    ['text that is no UTF-8', [['Sluice-User-Property', 'a=%ff']], {}],
    ['a broken escape', [['Sluice-User-Property', 'a=%']], {}],
    [
      'more bytes than a message may carry',
      [['Sluice-User-Property', `a=${'x'.repeat(MAX_PROPERTY_BYTES)}`]],
      undefined,
    ],
    [
      'more user properties than a message may carry',
      Array.from({ length: MAX_USER_PROPERTIES + 1 }, () => ['Sluice-User-Property', 'a=b'] as const),
      undefined,
    ],
  ])('of a NATS client leave out %s', (_what, lines, expected) => {
    expect(readForeign(...lines)).toEqual(expected)
  })

  it('may be written by a NATS client in plain words', () => {
    const lines = [
      ['Sluice-Response-Topic', 'm/d/c/c/answers'],
      ['Sluice-Correlation-Data', 'AAE='],
      ['Sluice-User-Property', 'b=1'],
      ['Sluice-User-Property', 'a'],
      ['Sluice-User-Property', 'b=2=3'],
      ['Sluice-Message-Expiry', '60'],
      ['Sluice-Message-Expiry', '61'],
    ] as const
    expect(readForeign(...lines)).toEqual({
      responseTopic: 'm/d/c/c/answers',
      correlationData: Buffer.from([0, 1]),
      userProperties: [
        ['b', '1'],
        ['a', ''],
        ['b', '2=3'],
      ],
      expiryS: 60,
    })
  })
})

describe('what is left of an expiry interval', () => {
  it.each([
    [60, 0, 60],
    [60, 999, 60],
    [60, 1_000, 59],
    [60, 59_999, 1],
    [60, 60_000, undefined],
    [0, 0, 0],
    [0, 999, 0],
    [0, 1_000, undefined],
    // The clock of the node that received it is ahead of ours.
    [60, -5_000, 60],
  ])('of %i s after %i ms is %s', (expiryS, waitedMs, left) => {
    expect(expiryLeft(expiryS, 1_000_000, 1_000_000 + waitedMs)).toBe(left)
  })
})

describe('over NATS', () => {
  let testBus: TestBus
  beforeAll(async () => {
    testBus = await startTestBus()
  })
  afterAll(() => testBus.stop())

  it('properties arrive at another process as they were given', async () => {
    const address = { domainId: 'd', channelId: 'c' }
    const received: Message[] = []
    const feed = createChannelFeed(await testBus.connect())
    const following = feed.follow(address, (message) => received.push(message))
    await following.ready
    const publisher = createPublisher(testBus.bus)
    const given: MessageProperties = {
      contentType: 'text/plain; charset="Größe"',
      payloadFormat: 0,
      expiryS: 0,
      responseTopic: 'm/d/c/c/a b/ü',
      correlationData: Buffer.from([0, 13, 10, 255]),
      userProperties: [
        ['z', '1'],
        ['a\r\n', ''],
        ['z', '2'],
      ],
    }
    const message = { ...facts, ...address, levels: [], payload: Buffer.from('x'), properties: given }
    createPublish(publisher)(message, () => undefined)
    await eventually('the message', () => received.length === 1)
    expect(received[0]).toEqual(message)
    following.stop()
    await publisher.stop()
  })
})
