import { connect } from 'nats'
import type { Msg, NatsConnection } from 'nats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
let other: typeof site
let nats: NatsConnection
let path: string

beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  nats = await connect({ servers: gateway.ground.natsUrl })
  other = await api.given.site()
  site = await api.given.site()
  path = `/${site.domain.id}/channels/${site.channel.id}/replay`
  for (let v = 0; v < 10; v++) {
    await publish([{ n: 'x', v }], v % 2 ? 'odd' : '')
    await api.expect(202, 'POST', `/${other.topic}`, { auth: other.auth, body: { theirs: v } })
  }
})
afterAll(async () => {
  await nats.close()
  await gateway.stop()
})

const publish = (body: unknown, subtopic = '') =>
  api.expect(202, 'POST', `/${site.topic}/${subtopic}`, {
    auth: site.auth,
    body,
    type: 'application/senml+json',
  })

interface Line {
  readonly sequence: number
  readonly text: string
  readonly subtopic?: string
  readonly replay?: { readonly delivered: number; readonly next_sequence: number; readonly complete: boolean }
}

async function replay(body: Record<string, unknown>) {
  const answer = await api.expect(200, 'POST', path, { token: site.token, body })
  expect(answer.headers.get('content-type')).toContain('application/x-ndjson')
  const lines = answer.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  const summary = lines.pop()?.replay
  const values = lines.map(({ text }) => (JSON.parse(text) as { v: number }[])[0]?.v)
  return { lines, values, summary }
}

describe('a replay', () => {
  it('delivers the messages of a channel again, whole and in order, and nobody else’s', async () => {
    const { lines, values, summary } = await replay({ from_sequence: 1 })
    expect(values).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(lines[1]).toMatchObject({
      channel: site.channel.id,
      subtopic: 'odd',
      publisher: site.client.id,
      protocol: 'http',
      content_type: 'application/senml+json',
      payload: Buffer.from('[{"n":"x","v":1}]').toString('base64'),
    })
    expect(summary).toMatchObject({ delivered: 10, complete: true })
  })

  it('is done in parts, each beginning where the last one ended', async () => {
    const first = await replay({ from_sequence: 1, limit: 4 })
    expect(first.values).toEqual([0, 1, 2, 3])
    expect(first.summary).toMatchObject({ delivered: 4, complete: false })
    const second = await replay({ from_sequence: first.summary?.next_sequence, max_bytes: 40 })
    expect(second.values).toEqual([4, 5])
    expect(second.summary?.complete).toBe(false)
    const third = await replay({ from_sequence: second.summary?.next_sequence, rate: 100 })
    expect(third.values).toEqual([6, 7, 8, 9])
    expect(third.summary?.complete).toBe(true)
  })

  it('begins at a moment, ends at a place, and keeps to a subtopic', async () => {
    const { lines } = await replay({ from_sequence: 1 })
    const last = lines[4]?.sequence
    expect((await replay({ from: 0, to_sequence: last })).values).toEqual([0, 1, 2, 3, 4])
    expect((await replay({ from: '2020-01-01T00:00:00Z', subtopic: 'odd' })).values).toEqual([1, 3, 5, 7, 9])
    expect((await replay({ from: 4_000_000_000 })).summary).toMatchObject({ delivered: 0, complete: true })
    expect((await replay({ from_sequence: 1e9 })).summary).toMatchObject({ delivered: 0, complete: true })
  })

  it('goes to a subject of NATS that the caller names, and is not stored again', async () => {
    const subject = `replay.${site.domain.id}.c.${site.channel.id}.billing`
    const got: Msg[] = []
    nats.subscribe(subject, { callback: (_error, msg) => got.push(msg) })
    await nats.flush()
    const before = await storedTotal()
    const { body } = await api.expect(200, 'POST', path, {
      token: site.token,
      body: { from_sequence: 1, topic: 'billing' },
    })
    expect(body).toMatchObject({ subject, delivered: 10, complete: true })
    await eventually('all of them', () => got.length === 10)
    expect(got[0]?.string()).toBe('[{"n":"x","v":0}]')
    expect(got[0]?.headers?.get('Sluice-Publisher')).toBe(site.client.id)
    expect(got[1]?.headers?.get('Sluice-Subject')).toBe(`m.${site.domain.id}.c.${site.channel.id}.odd`)
    await publish([{ n: 'after', v: 1 }], 'behind')
    await eventually('what came behind is stored', async () => (await storedTotal()) === before + 1)
  })

  it('is open to a device that may subscribe', async () => {
    const { text } = await api.expect(200, 'POST', `/channels/${site.channel.id}/replay`, {
      auth: site.auth,
      body: { from_sequence: 1, limit: 1 },
    })
    expect(text.split('\n')).toHaveLength(3)
  })
})

async function storedTotal(): Promise<number> {
  const messages = `/${site.domain.id}/channels/${site.channel.id}/messages?limit=1`
  return (await api.expect(200, 'GET', messages, { token: site.token })).body.total
}

describe('a replay is refused', () => {
  it.each([
    [{}, 'from'],
    [{ from: 1, from_sequence: 1 }, 'from'],
    [{ from: 'yesterday' }, 'from'],
    [{ from_sequence: 0 }, 'from_sequence'],
    [{ from_sequence: 1, to_sequence: 'x' }, 'to_sequence'],
    [{ from_sequence: 1, limit: 100_001 }, 'limit'],
    [{ from_sequence: 1, max_bytes: 0 }, 'max_bytes'],
    [{ from_sequence: 1, rate: 0 }, 'rate'],
    [{ from_sequence: 1, rate: 5_001, topic: 'fast' }, 'rate'],
    [{ from_sequence: 1, topic: 'a.b' }, 'topic'],
    [{ from_sequence: 1, topic: '>' }, 'topic'],
  ])('with 400 for %j', async (body, field) => {
    const answer = await api.call('POST', path, { token: site.token, body })
    expect(answer.status).toBe(400)
    expect(answer.body.message).toContain(field)
  })

  it('with 401, 403 and 404 like reading', async () => {
    const body = { from_sequence: 1 }
    expect((await api.call('POST', path, { body })).status).toBe(401)
    expect((await api.call('POST', path, { body, auth: 'Client nobody' })).status).toBe(401)
    expect((await api.call('POST', path, { body, token: other.token })).status).toBe(403)
    const client = await api.given.client(site.token, site.domain.id)
    await api.given.connection(site.token, site.domain.id, site.channel.id, client.id, ['publish'])
    const auth = `Client ${client.credentials.secret}`
    expect((await api.call('POST', path, { body, auth })).status).toBe(403)
    const missing = `/${site.domain.id}/channels/${site.client.id}/replay`
    expect((await api.call('POST', missing, { body, token: site.token })).status).toBe(404)
  })
})

describe('replays at once', () => {
  /** One that lasts for as long as its caller stays. */
  function begin() {
    const abort = new AbortController()
    const answer = fetch(gateway.url + path, {
      method: 'POST',
      headers: { authorization: site.auth, 'content-type': 'application/json' },
      body: JSON.stringify({ from_sequence: 1, rate: 1, topic: 'slow' }),
      signal: abort.signal,
    })
    return { status: answer.then(({ status }) => status).catch(() => undefined), abort }
  }

  it('are so many of one device and no more, also when they come together, and end with their callers', async () => {
    const refused: number[] = []
    const begun = Array.from({ length: 6 }, begin)
    for (const { status } of begun) void status.then((one) => one === 429 && refused.push(one))
    await eventually('two too many', () => refused.length === 2)
    expect(
      (await api.call('POST', path, { auth: site.auth, body: { from_sequence: 1 } })).body,
    ).toMatchObject({
      error: 'too_many_replays',
    })
    // Nothing of that is a burden to others.
    await api.expect(200, 'POST', `/channels/${other.channel.id}/replay`, {
      auth: other.auth,
      body: { from_sequence: 1 },
    })
    for (const { abort } of begun) abort.abort()
    await eventually('their places are free', async () => {
      const { status } = await api.call('POST', path, { auth: site.auth, body: { from_sequence: 1 } })
      return status === 200
    })
  })

  it('end when the permission is taken away, and say how far they came', async () => {
    const client = await api.given.client(site.token, site.domain.id)
    await api.given.connection(site.token, site.domain.id, site.channel.id, client.id)
    const answer = await fetch(gateway.url + path, {
      method: 'POST',
      headers: { authorization: `Client ${client.credentials.secret}`, 'content-type': 'application/json' },
      body: JSON.stringify({ from_sequence: 1, rate: 1 }),
    })
    await api.call('POST', `/${site.domain.id}/channels/disconnect`, {
      token: site.token,
      body: { channel_ids: [site.channel.id], client_ids: [client.id], types: ['subscribe'] },
    })
    const lines = (await answer.text()).trim().split('\n')
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ replay: { complete: false } })
  })
})
