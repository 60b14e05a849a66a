import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createPublish } from '../../../adapters/publish.ts'
import { nowNs } from '../../../platform/bus/message.ts'
import type { Message } from '../../../platform/bus/message.ts'
import { createPublisher } from '../../../platform/bus/publisher.ts'
import { createChannelFeed } from '../../../platform/bus/subscriptions.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'

let server: TestBus
const address = { domainId: 'd', channelId: 'c' }

beforeAll(async () => {
  server = await startTestBus()
})
afterAll(() => server.stop())

/** Publishes as any NATS client can, and returns when the server has passed it on to us. */
async function publishForeign(subject: string, text: string): Promise<void> {
  server.bus.connection.publish(subject, text)
  await server.bus.flush()
}

const texts = (messages: readonly Message[]): string[] =>
  messages.map((message) => Buffer.from(message.payload).toString())

describe('a channel feed', () => {
  it('gives each listener each message of the channel once, whatever its subtopic, and no other channel', async () => {
    const feed = createChannelFeed(server.bus)
    const first: Message[] = []
    const second: Message[] = []
    const followings = [first, second].map((list) => feed.follow(address, (message) => list.push(message)))
    await Promise.all(followings.map(({ ready }) => ready))

    await publishForeign('m.d.c.c', 'root')
    await publishForeign('m.d.c.c.a', 'a')
    await publishForeign('m.d.c.c.a.%.b%2Ec', 'deep')
    await publishForeign('m.d.c.other', 'other')

    expect(texts(first)).toEqual(['root', 'a', 'deep'])
    expect(second).toEqual(first)
    expect(first[2]?.levels).toEqual(['a', '', 'b.c'])
    expect(first[0]).toMatchObject({ protocol: 'nats', publisher: '', qos: 0, retain: false })
    for (const following of followings) following.stop()
  })

  it('holds two subscriptions for any number of listeners, and none after the last', async () => {
    const feed = createChannelFeed(server.bus)
    const before = subscriptions()
    const followings = Array.from({ length: 5 }, () => feed.follow(address, () => undefined))
    expect(subscriptions()).toBe(before + 2)
    for (const following of followings) following.stop()
    expect(subscriptions()).toBe(before)
    followings[0]?.stop()
    expect(subscriptions()).toBe(before)
  })

  it('goes on for the others when a listener throws', async () => {
    const feed = createChannelFeed(server.bus)
    const list: Message[] = []
    const bad = feed.follow(address, () => {
      throw new Error('bug in a listener')
    })
    const good = feed.follow(address, (message) => list.push(message))
    await good.ready
    await publishForeign('m.d.c.c', '1')
    await publishForeign('m.d.c.c', '2')
    expect(texts(list)).toEqual(['1', '2'])
    bad.stop()
    good.stop()
  })

  it('carries a message and its facts unchanged from one process to another', async () => {
    const feed = createChannelFeed(await server.connect())
    const list: Message[] = []
    const following = feed.follow(address, (message) => list.push(message))
    await following.ready
    const publisher = createPublisher(server.bus)
    const message: Message = {
      ...address,
      levels: ['höhe', '', 'a b.c*>%'],
      publisher: 'p',
      protocol: 'mqtt',
      contentType: 'application/senml+cbor',
      receivedAtNs: nowNs(),
      payload: Buffer.from([0, 255, 13, 10, 0x80]),
      qos: 2,
      retain: true,
    }
    const done = vi.fn<(error?: Error) => void>()
    createPublish(publisher)(message, done)
    await vi.waitFor(() => expect(list).toHaveLength(1))
    expect(list[0]).toEqual(message)
    await publisher.stop()
    expect(done).toHaveBeenCalledOnce()
    expect(done.mock.calls[0]?.[0]).toBeUndefined()
    following.stop()
  })

  it('refuses a content type that a header cannot hold', async () => {
    const publisher = createPublisher(server.bus)
    const error = await new Promise<Error | undefined>((resolve) =>
      createPublish(publisher)(
        {
          ...address,
          levels: [],
          publisher: 'p',
          protocol: 'mqtt',
          contentType: 'a\r\nSluice-Publisher: somebody-else',
          receivedAtNs: nowNs(),
          payload: Buffer.from('x'),
          qos: 1,
          retain: false,
        },
        resolve,
      ),
    )
    expect(error?.message).toBe('line break in the content type')
    await publisher.stop()
  })
})

function subscriptions(): number {
  // What nats.js keeps open; it has no public count.
  const { protocol } = server.bus.connection as unknown as { protocol: { subscriptions: { size(): number } } }
  return protocol.subscriptions.size()
}
