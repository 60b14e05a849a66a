import { beforeEach, describe, expect, it } from 'vitest'
import { createBacklog, newShare } from '../../../adapters/mqtt/backlog.ts'
import type { Backlog, Share } from '../../../adapters/mqtt/backlog.ts'
import type { Delivery } from '../../../adapters/mqtt/encode.ts'
import { Outbox } from '../../../adapters/mqtt/outbox.ts'
import type { Receiver } from '../../../adapters/mqtt/outbox.ts'

const KIB = 1024
const MAX_BYTES = 400 * KIB
const DOMAIN_BYTES = MAX_BYTES / 4

let backlog: Backlog
let dropped: string[]

beforeEach(() => {
  backlog = createBacklog(MAX_BYTES)
  dropped = []
})

function givenOutbox(domainId: string): Outbox {
  const options = { maxQueuedMessages: 1_000, maxInflight: 32, delivered: { value: 0 } }
  return new Outbox(options, backlog.account(domainId), (reason) => dropped.push(reason))
}

function message(given: { qos?: 0 | 1 | 2; sizeBytes?: number; share?: Share } = {}): Delivery {
  const { qos = 1, sizeBytes = 10 * KIB, share = newShare() } = given
  const payload = Buffer.alloc(sizeBytes)
  return {
    topic: 'm/d/c/x',
    payload,
    qos,
    retain: false,
    contentType: undefined,
    properties: undefined,
    identifiers: [],
    share,
  }
}

function receiver(given: Partial<Receiver> = {}): Receiver {
  return {
    version: 4,
    receiveMaximum: 65_535,
    maximumPacketSize: Infinity,
    aliases: undefined,
    isCongested: false,
    send: () => undefined,
    onDelivered: () => undefined,
    ...given,
  }
}

describe('sessions whose clients are away', () => {
  it('of one domain hold no more together than the share of a domain, however many they are', () => {
    for (let session = 0; session < 30; session += 1) {
      const outbox = givenOutbox('greedy')
      for (let count = 0; count < 60; count += 1) outbox.deliver(message())
    }
    expect(backlog.bytes).toBeGreaterThan(DOMAIN_BYTES * 0.8)
    expect(backlog.bytes).toBeLessThanOrEqual(DOMAIN_BYTES)
    expect(new Set(dropped)).toEqual(new Set(['backlog_full']))
  })

  it('get theirs while another domain has its share, clients that acknowledge nothing among its', () => {
    for (let session = 0; session < 30; session += 1) {
      const outbox = givenOutbox('greedy')
      if (session % 2 === 0) outbox.attach(receiver())
      for (let count = 0; count < 60; count += 1) outbox.deliver(message())
    }
    dropped = []
    const modest = givenOutbox('modest')
    for (let count = 0; count < 5; count += 1) modest.deliver(message())
    expect(dropped).toEqual([])
  })

  it('of all domains hold no more together than the total', () => {
    for (let domain = 0; domain < 10; domain += 1) {
      const outbox = givenOutbox(`domain ${domain}`)
      for (let count = 0; count < 60; count += 1) outbox.deliver(message())
    }
    expect(backlog.bytes).toBeGreaterThan(MAX_BYTES * 0.8)
    expect(backlog.bytes).toBeLessThanOrEqual(MAX_BYTES)
  })

  it('hold what was in flight when they left', () => {
    const outbox = givenOutbox('domain')
    outbox.attach(receiver())
    for (let count = 0; count < 5; count += 1) outbox.deliver(message())
    outbox.detach()
    expect(backlog.bytes).toBeGreaterThan(50 * KIB)
  })

  it('hold the payload of one message once, however many wait for it', () => {
    const share = newShare()
    const outboxes = Array.from({ length: 20 }, () => givenOutbox('domain'))
    for (const outbox of outboxes) outbox.deliver(message({ share }))
    expect(backlog.bytes).toBeLessThan(20 * KIB)
    for (const outbox of outboxes.slice(1)) outbox.discard()
    expect(backlog.bytes).toBeGreaterThan(10 * KIB)
    outboxes[0]?.discard()
    expect(backlog.bytes).toBe(0)
  })
})

describe('a session whose client is there', () => {
  it('still gets what comes while several domains hold all they may for clients that acknowledge nothing', () => {
    for (let domain = 0; domain < 6; domain += 1) {
      for (let session = 0; session < 30; session += 1) {
        const outbox = givenOutbox(`greedy ${domain}`)
        outbox.attach(receiver())
        for (let count = 0; count < 60; count += 1) outbox.deliver(message({ sizeBytes: KIB }))
      }
    }
    expect(backlog.bytes).toBeGreaterThan(MAX_BYTES * 1.5)
    expect(backlog.bytes).toBeLessThanOrEqual(MAX_BYTES * 2)
    dropped = []
    const modest = givenOutbox('modest')
    modest.attach(receiver())
    modest.deliver(message({ sizeBytes: KIB }))
    expect(dropped).toEqual([])
  })

  it('still gets what comes when those that are away may have no more', () => {
    const away = givenOutbox('domain')
    for (let count = 0; count < 60; count += 1) away.deliver(message())
    dropped = []
    const outbox = givenOutbox('domain')
    outbox.attach(receiver())
    outbox.deliver(message())
    expect(dropped).toEqual([])
  })

  it('gives back what it held when the client acknowledges, takes no packets of the size, or ends it', () => {
    const outbox = givenOutbox('domain')
    for (let count = 0; count < 3; count += 1) outbox.deliver(message())
    outbox.deliver(message({ qos: 2 }))
    outbox.attach(receiver({ receiveMaximum: 2 }))
    outbox.acknowledge(1)
    outbox.acknowledge(2)
    outbox.receive(4) // [MQTT-4.3.3-4]: of a message that has arrived nothing but its identifier is needed
    expect(backlog.bytes).toBeLessThan(11 * KIB)
    outbox.attach(receiver({ maximumPacketSize: 100 }))
    expect(backlog.bytes).toBe(0)
    expect(dropped).toEqual(['packet_too_large_for_receiver'])
    outbox.deliver(message({ sizeBytes: 1 }))
    outbox.detach()
    outbox.deliver(message())
    outbox.discard()
    expect(backlog.bytes).toBe(0)
  })
})
