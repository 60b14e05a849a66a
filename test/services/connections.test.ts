import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

/** A domain with a client and a channel that are not connected. */
async function givenPair() {
  const { token } = await api.given.person()
  const domain = await api.given.domain(token)
  const client = await api.given.client(token, domain.id)
  const channel = await api.given.channel(token, domain.id)
  const types = async (): Promise<string[]> => {
    const { body } = await api.expect(200, 'GET', `/${domain.id}/clients?channel=${channel.id}`, { token })
    return body.clients[0]?.connection_types ?? []
  }
  return {
    token,
    domain: domain.id as string,
    client: client.id as string,
    channel: channel.id as string,
    types,
  }
}

describe('connecting', () => {
  it('takes every form that clients know, and answers 201 with nothing', async () => {
    const forms = [
      (p: Pair) => ['/connect', { channel_ids: [p.channel], client_ids: [p.client] }],
      (p: Pair) => [`/${p.domain}/connect`, { channel_ids: [p.channel], client_ids: [p.client] }],
      (p: Pair) => [
        `/${p.domain}/channels/connect`,
        { channel_ids: [p.channel], client_ids: [p.client], types: [] },
      ],
      (p: Pair) => [
        `/${p.domain}/channels/${p.channel}/connect`,
        { client_ids: [p.client], channel_id: p.channel },
      ],
      (p: Pair) => ['/connect', { subjects: [p.channel], objects: [p.client] }],
    ] as const
    for (const form of forms) {
      const pair = await givenPair()
      const [path, body] = form(pair)
      const answer = await api.call('POST', path as string, { token: pair.token, body })
      expect([answer.status, answer.text]).toEqual([201, ''])
      expect(await pair.types()).toEqual(['Publish', 'Subscribe'])
    }
  })

  it.each([
    [['publish'], ['Publish']],
    [['SUBSCRIBE'], ['Subscribe']],
    [
      ['m_write', 'm_read'],
      ['Publish', 'Subscribe'],
    ],
  ])('with types %j connects those', async (types, expected) => {
    const pair = await givenPair()
    await api.given.connection(pair.token, pair.domain, pair.channel, pair.client, types)
    expect(await pair.types()).toEqual(expected)
  })

  it('is a conflict only when nothing new comes of it', async () => {
    const pair = await givenPair()
    const body = { channel_ids: [pair.channel], client_ids: [pair.client] }
    const connect = (types: string[]) =>
      api.call('POST', `/${pair.domain}/channels/connect`, { token: pair.token, body: { ...body, types } })
    expect((await connect(['publish'])).status).toBe(201)
    expect((await connect(['publish', 'subscribe'])).status).toBe(201)
    const again = await connect(['publish'])
    expect([again.status, again.body.error]).toEqual([409, 'already_connected'])
  })

  it('connects all or none: one id that is not of the domain fails the whole request', async () => {
    const pair = await givenPair()
    const foreign = await givenPair()
    for (const other of [randomUUID(), foreign.client]) {
      const answer = await api.call('POST', `/${pair.domain}/channels/connect`, {
        token: pair.token,
        body: { channel_ids: [pair.channel], client_ids: [pair.client, other] },
      })
      expect(answer.status).toBe(404)
    }
    expect(await pair.types()).toEqual([])
  })

  it('refuses what is disabled', async () => {
    const pair = await givenPair()
    const off = await api.given.client(pair.token, pair.domain, { status: 'disabled' })
    const answer = await api.call('POST', '/connect', {
      token: pair.token,
      body: { channel_ids: [pair.channel], client_ids: [off.id] },
    })
    expect(answer.status).toBe(403)
  })

  it.each([
    ['no channel', { client_ids: [randomUUID()] }, 'channel_ids'],
    ['no client', { channel_ids: [randomUUID()] }, 'client_ids'],
    ['an id that is none', { channel_ids: ['x'], client_ids: [randomUUID()] }, 'channel_ids.0'],
    [
      'an unknown type',
      { channel_ids: [randomUUID()], client_ids: [randomUUID()], types: ['fly'] },
      'types.0',
    ],
  ])('refuses %s with a 400 that names the field', async (_what, body, field) => {
    const pair = await givenPair()
    const answer = await api.call('POST', `/${pair.domain}/channels/connect`, { token: pair.token, body })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain(field)
  })

  it('takes at most 10,000 pairs at once, so that one request holds the database for no longer than others', async () => {
    const pair = await givenPair()
    const ids = (count: number) => Array.from({ length: count }, () => randomUUID())
    for (const wiring of ['connect', 'disconnect']) {
      const answer = await api.call('POST', `/${pair.domain}/channels/${wiring}`, {
        token: pair.token,
        body: { channel_ids: ids(101), client_ids: ids(100) },
      })
      expect(answer.status).toBe(400)
      expect(answer.body.message).toContain('10000 pairs')
    }
  })

  it('without a domain in the path refuses ids of two domains, and says nothing of ids that are not the caller’s', async () => {
    const { token } = await api.given.person()
    const [one, two] = [await api.given.domain(token), await api.given.domain(token)]
    const channel = await api.given.channel(token, one.id)
    const client = await api.given.client(token, two.id)
    const connect = (channelId: string, clientId: string) =>
      api.call('POST', '/connect', { token, body: { channel_ids: [channelId], client_ids: [clientId] } })
    expect((await connect(channel.id, client.id)).status).toBe(400)
    const stranger = await givenPair()
    const [unknown, foreign] = [
      await connect(channel.id, randomUUID()),
      await connect(channel.id, stranger.client),
    ]
    expect([unknown.status, unknown.body]).toEqual([403, foreign.body])
    expect(foreign.status).toBe(403)
  })
})

describe('disconnecting', () => {
  it('takes clients and channels in whichever list they stand, and answers 204', async () => {
    for (const swap of [false, true]) {
      const pair = await givenPair()
      await api.given.connection(pair.token, pair.domain, pair.channel, pair.client)
      const [subjects, objects] = swap ? [[pair.channel], [pair.client]] : [[pair.client], [pair.channel]]
      const answer = await api.call('POST', `/${pair.domain}/channels/disconnect`, {
        token: pair.token,
        body: { subjects, objects },
      })
      expect([answer.status, answer.text]).toEqual([204, ''])
      expect(await pair.types()).toEqual([])
    }
  })

  it('takes one type away and leaves the other', async () => {
    const pair = await givenPair()
    await api.given.connection(pair.token, pair.domain, pair.channel, pair.client)
    await api.expect(204, 'POST', `/${pair.domain}/channels/${pair.channel}/disconnect`, {
      token: pair.token,
      body: { client_ids: [pair.client], types: ['publish'] },
    })
    expect(await pair.types()).toEqual(['Subscribe'])
  })

  it('is no error where nothing was connected', async () => {
    const pair = await givenPair()
    await api.expect(204, 'POST', '/disconnect', {
      token: pair.token,
      body: { channel_ids: [pair.channel], client_ids: [pair.client] },
    })
  })
})

type Pair = Awaited<ReturnType<typeof givenPair>>
