import { randomUUID } from 'node:crypto'
import mqtt from 'mqtt'
import type { ErrorWithReasonCode } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

const PER_CLIENT = 5
const PER_ADDRESS = 20

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway({
    SLUICE_MAX_FAILURES_PER_ACCOUNT: String(PER_CLIENT),
    SLUICE_MAX_FAILURES_PER_ADDRESS: String(PER_ADDRESS),
    SLUICE_FAILURE_WINDOW_S: '86400',
    // The tests are the proxy, and so come from whichever address they say.
    SLUICE_TRUST_PROXY: '127.0.0.1,::1',
  })
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

type Site = Awaited<ReturnType<Api['given']['site']>>
type Place = Pick<Site, 'topic'> & { readonly domain: { id: string }; readonly channel: { id: string } }

interface Knock {
  readonly status: number
  readonly retryAfter: string | null | undefined
}
type Door = (place: Place, auth: string, address: string) => Promise<Knock>

let lastAddress = 0
/** One that nobody has come from yet. */
const newAddress = () => `198.51.${(lastAddress += 1) >> 8}.${lastAddress & 255}`
const bare = (secret: string = randomUUID()) => `Client ${secret}`
const named = (id: string, secret: string = randomUUID()) =>
  `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
const nowhere = (): Place => {
  const [domain, channel] = [{ id: randomUUID() }, { id: randomUUID() }]
  return { topic: `m/${domain.id}/c/${channel.id}`, domain, channel }
}

const publish: Door = async ({ topic }, auth, address) => {
  const headers = { 'x-forwarded-for': address }
  const answer = await api.call('POST', `/${topic}`, { auth, headers, body: [{ n: 'x', v: 1 }] })
  return { status: answer.status, retryAfter: answer.headers.get('retry-after') }
}

const upgrade: Door = ({ topic }, authorization, address) =>
  new Promise((resolve, reject) => {
    const headers = { authorization, 'x-forwarded-for': address }
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${topic}`, { headers })
    socket.once('open', () => {
      socket.terminate()
      resolve({ status: 101, retryAfter: undefined })
    })
    socket.once('unexpected-response', (_request, response) => {
      response.resume()
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] })
    })
    socket.once('error', reject)
  })

const read: Door = async ({ domain, channel }, auth, address) => {
  const headers = { 'x-forwarded-for': address }
  const answer = await api.call('GET', `/${domain.id}/channels/${channel.id}/messages`, { auth, headers })
  return { status: answer.status, retryAfter: answer.headers.get('retry-after') }
}

/** Knocks so many times, one after the other, each time with other credentials. */
async function guess(times: number, knock: () => Promise<Knock>): Promise<number[]> {
  const statuses: number[] = []
  for (let i = 0; i < times; i++) statuses.push((await knock()).status)
  return statuses
}

const refusals = (times: number, status = 401) => Array.from({ length: times }, () => status)

describe.each([
  ['publishing over HTTP', publish, 202],
  ['opening a WebSocket', upgrade, 101],
  ['reading messages', read, 200],
] as const)('%s', (_what, door, opened) => {
  it('with guessed secrets is put off after so many from an address, and says when to try again', async () => {
    const site = await api.given.site()
    const address = newAddress()
    expect(await guess(PER_ADDRESS, () => door(site, bare(), address))).toEqual(refusals(PER_ADDRESS))
    const { status, retryAfter } = await door(site, bare(), address)
    expect(status).toBe(429)
    expect(Number(retryAfter)).toBeGreaterThan(0)
    // Right for the first time in this process: guessed as well as any.
    expect((await door(site, site.auth, address)).status).toBe(429)
    expect((await door(site, bare(), newAddress())).status).toBe(401)
    expect((await door(site, site.auth, newAddress())).status).toBe(opened)
  })

  it('with guessed secrets looks the same where there is nothing', async () => {
    const place = nowhere()
    const address = newAddress()
    const statuses = await guess(PER_ADDRESS + 2, () => door(place, bare(), address))
    expect(statuses).toEqual([...refusals(PER_ADDRESS), 429, 429])
  })

  it('stays open for a device that was there before, whoever guesses beside it', async () => {
    const site = await api.given.site()
    const address = newAddress()
    expect((await door(site, site.auth, address)).status).toBe(opened)
    await guess(PER_ADDRESS + 1, () => door(site, bare(), address))
    expect((await door(site, bare(), address)).status).toBe(429)
    expect((await door(site, site.auth, address)).status).toBe(opened)
    // Forgotten by the cache, and asked about again.
    await api.expect(200, 'PATCH', `/${site.domain.id}/clients/${site.client.id}`, {
      token: site.token,
      body: { name: 'new' },
    })
    expect(await guess(3, () => door(site, site.auth, address))).toEqual(refusals(3, opened))
  })

  it('with the same wrong secret again and again is no further guess', async () => {
    const site = await api.given.site()
    const address = newAddress()
    const stale = bare()
    const statuses = await guess(2 * PER_ADDRESS, () => door(site, stale, address))
    expect(statuses).toEqual(refusals(2 * PER_ADDRESS))
    expect((await door(site, site.auth, address)).status).toBe(opened)
  })

  it.each([
    ['a client', (site: Site) => site.client.id],
    ['a client that there is not', () => randomUUID()],
  ])('with secrets guessed for %s is put off after so many, from each address', async (_who, idOf) => {
    const site = await api.given.site()
    const id: string = idOf(site)
    const address = newAddress()
    const statuses = await guess(PER_CLIENT + 1, () => door(site, named(id), address))
    expect(statuses).toEqual([...refusals(PER_CLIENT), 429])
    // Elsewhere one guess is left, and then none.
    const elsewhere = newAddress()
    expect(await guess(3, () => door(site, named(id), elsewhere))).toEqual([401, 429, 429])
  })

  it('cannot be shut to a client by guessing from elsewhere', async () => {
    const site = await api.given.site()
    for (let i = 0; i < 2 * PER_CLIENT; i++) await door(site, named(site.client.id), newAddress())
    const right = named(site.client.id, site.secret)
    expect((await door(site, right, newAddress())).status).toBe(opened)
  })
})

describe('connecting over MQTT', () => {
  /** @returns the reason for which it is refused; 0 when it is not */
  async function connect(username: string, password: string, protocolVersion: 4 | 5): Promise<number> {
    const options = { username, password, protocolVersion, reconnectPeriod: 0 }
    try {
      const client = await mqtt.connectAsync(gateway.mqttUrl, options)
      await client.endAsync(true)
      return 0
    } catch (error) {
      return (error as ErrorWithReasonCode).code
    }
  }

  it.each([
    [5, 0x86, 0x9f],
    [4, 4, 3],
  ] as const)(
    'with guessed secrets is put off after so many for a client (version %i)',
    async (version, bad, over) => {
      const site = await api.given.site()
      const statuses: number[] = []
      for (let i = 0; i < PER_CLIENT + 1; i++) {
        statuses.push(await connect(site.client.id, randomUUID(), version))
      }
      expect(statuses).toEqual([...refusals(PER_CLIENT, bad), over])
      expect(await connect(randomUUID(), randomUUID(), version)).toBe(bad)
    },
  )

  it('stays open for a device that was there before', async () => {
    const site = await api.given.site()
    expect(await connect(site.client.id, site.secret, 5)).toBe(0)
    for (let i = 0; i <= PER_CLIENT; i++) await connect(site.client.id, randomUUID(), 5)
    expect(await connect(site.client.id, randomUUID(), 5)).toBe(0x9f)
    expect(await connect(site.client.id, site.secret, 5)).toBe(0)
  })

  it('goes on for those behind a proxy at which others guess', async () => {
    // A load balancer hides where a connection comes from: its address must not count.
    for (let i = 0; i <= PER_ADDRESS; i++) await connect(randomUUID(), randomUUID(), 5)
    const site = await api.given.site()
    expect(await connect(site.client.id, site.secret, 5)).toBe(0)
  })
})
