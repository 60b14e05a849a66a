import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { openEventStream } from '../support/sse.ts'
import type { EventStream } from '../support/sse.ts'

let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
})
beforeEach(async () => {
  site = await api.given.site()
})
afterAll(() => gateway.stop())

const START = 1_700_000_000

const publish = (body: unknown, subtopic = '', type = 'application/senml+json') =>
  api.expect(202, 'POST', `/${site.topic}/${subtopic}`, { auth: site.auth, body, type })

const number = (v: number, n = 'x') => publish([{ n, t: START + v, v }])

async function follow(query = '', headers: Record<string, string> = {}): Promise<EventStream> {
  const path = `/${site.domain.id}/channels/${site.channel.id}/messages/live?${query}`
  const stream = await openEventStream(gateway.url + path, {
    authorization: `Bearer ${site.token}`,
    ...headers,
  })
  onTestFinished(() => stream.close())
  expect(stream.status).toBe(200)
  return stream
}

const valuesOf = (events: readonly { data: { value: number } }[]) => events.map(({ data }) => data.value)

describe('the live tail of a channel', () => {
  it('sends each reading that comes from then on, as the reader will answer it', async () => {
    await number(1)
    const stream = await follow()
    expect(stream.headers.get('content-type')).toContain('text/event-stream')
    await publish(
      [
        { n: 'x', u: 'Cel', t: START, v: 2 },
        { n: 'y', t: START, vs: 'two' },
      ],
      'floor/1',
    )
    const [first, second] = await stream.take(2)
    expect(first?.data).toEqual({
      channel: site.channel.id,
      subtopic: 'floor/1',
      publisher: site.client.id,
      protocol: 'http',
      name: 'x',
      unit: 'Cel',
      time: START,
      value: 2,
    })
    expect(second?.data).toMatchObject({ name: 'y', string_value: 'two' })
  })

  it('sends other JSON too, and says its format', async () => {
    const stream = await follow()
    await publish({ a: 1 }, 'orders', 'application/json')
    const [event] = await stream.take(1)
    expect(event?.data).toMatchObject({ format: 'orders', payload: { a: 1 } })
  })

  it.each([
    ['name=x,z', [1, 3]],
    ['subtopic=deep/er', [4]],
    ['subtopic=/deep/er/', [4]],
    ['protocol=http&name=y', [2]],
    ['format=messages&name=z', [3]],
  ])('keeps to what is asked with %s', async (query, expected) => {
    const stream = await follow(query)
    await number(1, 'x')
    await number(2, 'y')
    await number(3, 'z')
    await publish([{ n: 'other', v: 4 }], 'deep/er')
    await publish({ json: true }, 'orders', 'application/json')
    // Behind all of them, so that what should not come would have come.
    const all = await follow('name=last')
    await number(5, 'last')
    await all.take(1)
    expect(valuesOf(await stream.take(expected.length))).toEqual(expected)
  })

  it('keeps to a publisher', async () => {
    const stream = await follow(`publisher=${site.client.id}`)
    const nobody = await follow(`publisher=${site.channel.id}`)
    await number(1)
    await stream.take(1)
    expect(nobody.events).toEqual([])
  })

  it('goes on where it broke off, without a gap or a repeat, also within a message', async () => {
    const stream = await follow()
    await publish([
      { n: 'x', t: START, v: 0 },
      { n: 'x', t: START + 1, v: 1 },
      { n: 'x', t: START + 2, v: 2 },
    ])
    const [first] = await stream.take(3)
    stream.close()
    await publish([{ n: 'x', t: START, v: 3 }], 'sub')
    await number(4)
    const again = await follow('', { 'last-event-id': first?.id ?? '' })
    expect(valuesOf(await again.take(4))).toEqual([1, 2, 3, 4])
    await number(5)
    expect(valuesOf(await again.take(5))).toEqual([1, 2, 3, 4, 5])
  })

  it('has a place to come back to before the first event', async () => {
    const stream = await follow()
    await eventually('the opening', () => stream.lastId() !== '')
    stream.close()
    await number(1)
    const again = await follow(`last_event_id=${stream.lastId()}`)
    expect(valuesOf(await again.take(1))).toEqual([1])
  })

  it('keeps the order of the stream between a channel and its subtopics', async () => {
    const stream = await follow()
    const count = 300
    for (let v = 0; v < count; v++) await publish([{ n: 'x', t: START, v }], v % 3 === 0 ? '' : `s${v % 3}`)
    expect(valuesOf(await stream.take(count))).toEqual(Array.from({ length: count }, (_, i) => i))
  })

  it('says what is missing when it comes back to a stream that has it no more', async () => {
    const stream = await follow('last_event_id=999999999')
    await eventually('the gap', () => stream.events.some(({ type }) => type === 'gap'))
    expect(stream.events[0]).toMatchObject({ type: 'gap', data: { first_available: 1 } })
  })

  it('is open to a device that may subscribe, with the channel alone in the path', async () => {
    const stream = await openEventStream(`${gateway.url}/channels/${site.channel.id}/messages/live`, {
      authorization: site.auth,
    })
    onTestFinished(() => stream.close())
    await number(7)
    expect(valuesOf(await stream.take(1))).toEqual([7])
  })

  it('tells nothing of another tenant', async () => {
    const mine = await follow()
    const other = await api.given.site()
    await api.expect(202, 'POST', `/${other.topic}`, {
      auth: other.auth,
      body: [{ n: 'secret', v: 1 }],
      type: 'application/senml+json',
    })
    await number(1)
    expect((await mine.take(1)).map(({ data }) => data.name)).toEqual(['x'])
  })
})

describe('a live tail is refused', () => {
  const path = () => `/${site.domain.id}/channels/${site.channel.id}/messages/live`

  it('with 401 without credentials, and with a secret that nobody has', async () => {
    expect((await api.call('GET', path())).status).toBe(401)
    expect((await api.call('GET', path(), { auth: 'Client nobody' })).status).toBe(401)
    expect((await api.call('GET', path(), { token: 'nonsense' })).status).toBe(401)
  })

  it('with 403 to a stranger and to a device that may only publish, with 404 for no such channel', async () => {
    const stranger = await api.given.person()
    expect((await api.call('GET', path(), { token: stranger.token })).status).toBe(403)
    const client = await api.given.client(site.token, site.domain.id)
    await api.given.connection(site.token, site.domain.id, site.channel.id, client.id, ['publish'])
    const auth = `Client ${client.credentials.secret}`
    expect((await api.call('GET', path(), { auth })).status).toBe(403)
    const missing = `/${site.domain.id}/channels/${site.client.id}/messages/live`
    expect((await api.call('GET', missing, { token: site.token })).status).toBe(404)
  })

  it.each(['abc', '12-', '-1', '1-2-3', '9999999999999999999'])(
    'with 400 for the event id %s',
    async (id) => {
      const query = await api.call('GET', `${path()}?last_event_id=${id}`, { token: site.token })
      expect(query.status).toBe(400)
      expect(query.body.message).toContain('last_event_id')
      const header = await api.call('GET', path(), { token: site.token, headers: { 'last-event-id': id } })
      expect(header.status).toBe(400)
      expect(header.body.message).toContain('Last-Event-ID')
    },
  )

  it('with 400 for a parameter that comes twice', async () => {
    const answer = await api.call('GET', `${path()}?name=a&name=b`, { token: site.token })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain('name')
  })
})

describe('a live tail ends', () => {
  it('when its device is disconnected from the channel', async () => {
    const url = `${gateway.url}/channels/${site.channel.id}/messages/live`
    const stream = await openEventStream(url, { authorization: site.auth })
    await number(1)
    await stream.take(1)
    await api.call('POST', `/${site.domain.id}/channels/disconnect`, {
      token: site.token,
      body: { channel_ids: [site.channel.id], client_ids: [site.client.id], types: ['subscribe'] },
    })
    await stream.ended
    expect(stream.events.at(-1)).toMatchObject({ type: 'end', data: { error: 'revoked' } })
    const { text } = await api.call('GET', '/metrics')
    expect(text).toContain('sluice_refused_total{protocol="sse",reason="revoked"} 1\n')
  })

  it('when the gateway stops, without holding it up', async () => {
    const own = await startTestGateway()
    const ownApi = createApi(own.url)
    const ownSite = await ownApi.given.site()
    const stream = await openEventStream(`${own.url}/channels/${ownSite.channel.id}/messages/live`, {
      authorization: ownSite.auth,
    })
    expect(stream.status).toBe(200)
    await own.stop()
    await stream.ended
    expect(stream.text()).toContain('retry: ')
  })
})

it('only so many live tails are open at once', async () => {
  const own = await startTestGateway({ SLUICE_MAX_LIVE_READERS: '1' }, gateway.ground)
  onTestFinished(() => own.stop())
  const url = `${own.url}/channels/${site.channel.id}/messages/live`
  const first = await openEventStream(url, { authorization: site.auth })
  const second = await openEventStream(url, { authorization: site.auth })
  expect([first.status, second.status]).toEqual([200, 503])
  const { text } = await createApi(own.url).call('GET', '/metrics')
  expect(text).toContain('sluice_refused_total{protocol="sse",reason="too_many_live_readers"} 1\n')
  first.close()
  await eventually('there is room again', async () => {
    const third = await openEventStream(url, { authorization: site.auth })
    third.close()
    return third.status === 200
  })
})

it('one device, and all devices of one domain, have only so many, and take nothing from others', async () => {
  const own = await startTestGateway(
    {
      SLUICE_MAX_LIVE_READERS: '4',
      SLUICE_MAX_LIVE_READERS_PER_CLIENT: '2',
      SLUICE_MAX_LIVE_READERS_PER_DOMAIN: '3',
    },
    gateway.ground,
  )
  onTestFinished(() => own.stop())
  const other = await api.given.site()
  const second = await api.given.client(site.token, site.domain.id)
  await api.given.connection(site.token, site.domain.id, site.channel.id, second.id)
  const open = (channelId: string, authorization: string) =>
    openEventStream(`${own.url}/channels/${channelId}/messages/live`, { authorization })
  const mine = await Promise.all([1, 2, 3].map(() => open(site.channel.id, site.auth)))
  expect(mine.filter(({ status }) => status === 200)).toHaveLength(2)
  const refused = mine.find(({ status }) => status === 429)
  await refused?.ended
  expect(refused?.headers.get('retry-after')).toBe('5')
  expect(refused?.text()).toContain('too_many_live_readers')
  const neighbour = `Client ${second.credentials.secret}`
  expect((await open(site.channel.id, neighbour)).status).toBe(200)
  expect((await open(site.channel.id, neighbour)).status).toBe(429)
  expect((await open(other.channel.id, other.auth)).status).toBe(200)
})
