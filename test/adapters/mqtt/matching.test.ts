import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { addMember, collect, connectClient, eventually, RawClient, topicOf, useGateway } from './support.ts'
import type { Channel, Client } from '../../support/authority.ts'
import type { TestGateway } from './support.ts'

let gateway: TestGateway
useGateway(
  (started) => {
    gateway = started
  },
  { limits: { maxSubscriptions: 1_000, maxSubscriptionsPerRequest: 1_000, maxSessionBytes: 524_288 } },
)

/** What MAX_SHAPES of adapters/mqtt/routes.ts and docs/mqtt.md say. */
const MAX_SHAPES = 256

function newChannel(): { channel: Channel; member: Client } {
  const channel = gateway.tables.addChannel()
  return { channel, member: addMember(gateway.tables, channel) }
}

/** Nine levels, of which the bits of `shape` say which are wildcards; the last is literal. */
function filterOf(channel: Channel, shape: number, last: string): string {
  const levels = Array.from({ length: 9 }, (_, bit) => ((shape >> bit) & 1 ? '+' : 'a'))
  return topicOf(channel, ...levels, last)
}

const filtersOf = (channel: Channel, count: number): string[] =>
  // From 1 on: 0 has no wildcard.
  Array.from({ length: count }, (_, index) => filterOf(channel, index + 1, 'x'))

async function codesOf(client: Awaited<ReturnType<typeof connectClient>>, filters: string[]) {
  const granted = await client.subscribeAsync(filters, { qos: 1 }).catch(() => [])
  return granted.map(({ qos }) => qos as number)
}

describe('filters of one channel', () => {
  it('may be any number where their wildcards stand in the same places, and 256 ways of placing them', async () => {
    const { channel, member } = newChannel()
    const client = await connectClient(gateway, member, { protocolVersion: 5 })
    const codes = await codesOf(client, filtersOf(channel, MAX_SHAPES))
    expect(codes).toEqual(codes.map(() => 1))

    const refused = gateway.metrics.refused('mqtt', 'too_many_wildcard_shapes')
    await expect(client.subscribeAsync(filterOf(channel, MAX_SHAPES + 1, 'x'))).rejects.toThrow(
      /Quota exceeded/,
    )
    expect(refused.value).toBe(1)
    expect(
      await codesOf(client, [filterOf(channel, 1, 'other'), filterOf(channel, 0, 'x'), topicOf(channel)]),
    ).toEqual([1, 1, 1])

    await client.unsubscribeAsync(filterOf(channel, 2, 'x'))
    expect(await codesOf(client, [filterOf(channel, MAX_SHAPES + 1, 'x')])).toEqual([1])
    const { channel: another, member: neighbour } = newChannel()
    const other = await connectClient(gateway, neighbour, { protocolVersion: 5 })
    expect(await codesOf(other, [filterOf(another, MAX_SHAPES + 2, 'x')])).toEqual([1])
    await client.endAsync()
    await other.endAsync()
  })

  it('count from all sessions, and a session that comes back keeps what it had', async () => {
    const { channel, member } = newChannel()
    const options = { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const
    const kept = { ...options, clientId: randomUUID() }
    const before = await connectClient(gateway, member, kept)
    expect(await codesOf(before, [filterOf(channel, MAX_SHAPES + 5, 'x')])).toEqual([1])
    await before.endAsync()
    const greedy = await connectClient(gateway, member, { ...options, clientId: randomUUID() })
    expect(await codesOf(greedy, filtersOf(channel, MAX_SHAPES))).toHaveLength(MAX_SHAPES)

    const after = await connectClient(gateway, member, kept)
    const received = collect(after)
    await expect(after.subscribeAsync(filterOf(channel, MAX_SHAPES + 6, 'x'))).rejects.toThrow(
      /Quota exceeded/,
    )
    const topic = filterOf(channel, 0, 'x')
    await greedy.publishAsync(topic, 'once for all that match', { qos: 1 })
    await eventually(() => expect(received).toHaveLength(1))
    await after.endAsync()
    await greedy.endAsync()
  })
})

describe('a session that reads what it missed', () => {
  it('gets what any of its filters matches once, and nothing of a group that it is a member of', async () => {
    const { channel, member } = newChannel()
    const options = {
      protocolVersion: 5,
      clean: false,
      clientId: randomUUID(),
      properties: { sessionExpiryInterval: 600 },
    } as const
    const before = await connectClient(gateway, member, options)
    await before.subscribeAsync([topicOf(channel, 'a', '+'), topicOf(channel, '+', 'x'), topicOf(channel)], {
      qos: 1,
    })
    await before.subscribeAsync(`$share/group/${topicOf(channel, 'shared')}`, { qos: 1 })
    const other = await connectClient(gateway, member, { clientId: randomUUID() })
    await other.subscribeAsync(`$share/group/${topicOf(channel, 'shared')}`, { qos: 1 })
    const taken = collect(other)
    await before.endAsync()

    await other.publishAsync(topicOf(channel, 'shared'), 'of the group', { qos: 1 })
    await eventually(() => expect(taken.map(({ payload }) => payload)).toEqual(['of the group']))
    await other.publishAsync(topicOf(channel, 'a', 'x'), 'of two filters', { qos: 1 })
    await other.publishAsync(topicOf(channel, 'b', 'y'), 'of none', { qos: 1 })
    await other.publishAsync(topicOf(channel, 'a', 'z'), 'last', { qos: 1 })

    const after = new RawClient(gateway.port, 5)
    const { clientId, clean, properties } = options
    await after.connect(member, { clientId, clean, properties })
    const received = (): string[] =>
      after.packets.flatMap((packet) => (packet.cmd === 'publish' ? [packet.payload.toString()] : []))
    await eventually(() => expect(received()).toContain('last'))
    expect(received()).toEqual(['of two filters', 'last'])
    after.end()
    await other.endAsync()
  })
})
