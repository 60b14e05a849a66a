import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Channel, Client } from '../../support/authority.ts'
import { addMember, eventually, LIMITS, topicOf, useGateway, useRawClients } from './support.ts'
import type { RawClient, TestGateway } from './support.ts'

const KIB = 1024
const PAYLOAD_BYTES = 16 * KIB
const COUNT = 40
/** A domain's share is a quarter: as much as one client has in flight. */
const MAX_BACKLOG_BYTES = 4 * LIMITS.maxInflight * PAYLOAD_BYTES

let gateway: TestGateway
let channel: Channel
let member: Client

useGateway(
  (started) => {
    gateway = started
  },
  { limits: { maxBacklogBytes: MAX_BACKLOG_BYTES } },
)
const open = useRawClients(() => gateway)

beforeEach(() => {
  channel = gateway.tables.addChannel()
  member = addMember(gateway.tables, channel)
})

const kept = (clientId: string): Promise<RawClient> => open(4, member, { clientId, clean: false })

const publications = Array.from({ length: COUNT }, (_, index) => String(index))

async function publishAll(): Promise<void> {
  const publisher = await open(4, member, { clientId: randomUUID() })
  for (const text of publications) {
    await publisher.publish(topicOf(channel, 'x'), { payload: text.padStart(PAYLOAD_BYTES) })
  }
}

/** Takes all there are, and acknowledges each. @returns what they say, in their order */
async function takeAll(raw: RawClient): Promise<string[]> {
  const texts: string[] = []
  while (texts.length < COUNT) {
    const { text, id } = await raw.message()
    texts.push(text.trim())
    raw.send({ cmd: 'puback', messageId: id })
  }
  return texts
}

describe('sessions that are kept, of a domain whose clients acknowledge nothing', () => {
  it.each([
    ['while they were away', true],
    ['while they are there', false],
  ])('get all that came %s, once they acknowledge', async (_when, isAway) => {
    const lost = gateway.metrics.refused('mqtt', 'backlog_full')
    const lostBefore = lost.value
    const names = Array.from({ length: 6 }, () => randomUUID())
    let clients = await Promise.all(names.map(kept))
    for (const raw of clients) await raw.subscribe(topicOf(channel, 'x'))
    if (isAway) {
      for (const raw of clients) {
        raw.send({ cmd: 'disconnect' })
        await raw.closed()
      }
      await publishAll()
      clients = await Promise.all(names.map(kept))
    } else await publishAll()
    await eventually(() => expect(clients.some(({ packets }) => packets.length > 0)).toBe(true))
    // Nothing tells that a message is not lost: enough for each to come to where it has no room.
    await sleep(1_000)
    const taken = await Promise.all(clients.map(takeAll))
    expect(taken).toEqual(names.map(() => publications))
    expect(lost.value).toBe(lostBefore)
  })
})
