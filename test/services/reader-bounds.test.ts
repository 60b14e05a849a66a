import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createUnread } from '../../services/messages/unread.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

type Site = Awaited<ReturnType<Api['given']['site']>>

let gateway: TestGateway
let api: Api
let site: Site
const COUNT = 24
const PAGE_BYTES = 4_194_304

beforeAll(async () => {
  gateway = await startTestGateway({ SLUICE_MAX_UNREAD_BYTES: '16777216' })
  api = createApi(gateway.url)
  site = await api.given.site()
  for (let i = 0; i < COUNT; i++) {
    await api.expect(202, 'POST', `/${site.topic}/large`, {
      auth: site.auth,
      body: { i, text: 'x'.repeat(250_000) },
    })
  }
  await eventually('all is stored', async () => (await page(`${pathOf(site)}&limit=1`)).total === COUNT)
})
afterAll(() => gateway.stop())

const pathOf = ({ domain, channel }: Site) =>
  `/${domain.id}/channels/${channel.id}/messages?format=large&dir=asc`

async function page(path: string) {
  const { body, text } = await api.expect(200, 'GET', path, { token: site.token })
  return { ...body, bytes: Buffer.byteLength(text) }
}

/** Asks for many pages and reads none of them: more than the network keeps for both ends. */
function askWithoutReading(url: string, { token }: Site, path: string, times = 8): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nHost: sluice\r\nAuthorization: Bearer ${token}\r\n\r\n`.repeat(times))
  return socket
}

describe('a page of large messages', () => {
  it('ends at 4 MiB, and its cursor leads to the rest, none missing and none twice', async () => {
    const found: number[] = []
    let [pages, cursor]: [number, string | undefined] = [0, '']
    while (cursor !== undefined) {
      const next = await page(`${pathOf(site)}&limit=1000${cursor && `&cursor=${cursor}`}`)
      expect(next.bytes).toBeLessThan(PAGE_BYTES + 4_096)
      expect(next.total).toBe(COUNT)
      found.push(...next.messages.map(({ payload }: { payload: { i: number } }) => payload.i))
      cursor = next.cursor
      pages += 1
    }
    expect(found).toEqual(Array.from({ length: COUNT }, (_, i) => i))
    expect(pages).toBe(2)
  })

  it('goes on by offset, too, behind what came', async () => {
    const first = await page(`${pathOf(site)}&limit=1000`)
    const second = await page(`${pathOf(site)}&limit=1000&offset=${first.messages.length}`)
    expect(second.messages[0].payload.i).toBe(first.messages.length)
    expect(first.messages.length + second.messages.length).toBe(COUNT)
  })
})

describe('pages that are asked for and not read', () => {
  it('keep the domain from further ones, and no other, until they are read or given up', async () => {
    const other = await api.given.site()
    const ask = (one: Site) => api.call('GET', `${pathOf(one)}&limit=1`, { token: one.token })
    const socket = askWithoutReading(gateway.url, site, `${pathOf(site)}&limit=1000`)
    await eventually('the domain is refused', async () => {
      const { status, body, headers } = await ask(site)
      return status === 429 && body.error === 'too_many_unread' && Number(headers.get('retry-after')) > 0
    })
    const deadLetters = `/${site.domain.id}/channels/${site.channel.id}/dead-letters`
    expect((await api.call('GET', deadLetters, { token: site.token })).status).toBe(429)
    expect((await ask(other)).status).toBe(200)
    socket.destroy()
    await eventually('the domain is answered again', async () => (await ask(site)).status === 200)
  })

  it('are no more when many have waited for their turn together', async () => {
    const db = new Client({ connectionString: gateway.ground.databaseUrl })
    await db.connect()
    await db.query('begin; lock table json_messages in access exclusive mode')
    const path = `${pathOf(site)}&limit=1000`
    for (let i = 0; i < 6; i++) askWithoutReading(gateway.url, site, path, 4)
    await eventually('nobody gets any further', async () => {
      const waiting = await db.query(`select 1 from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock'`)
      return waiting.rowCount === 2
    })
    await db.query('rollback')
    await db.end()
    await eventually('the domain is refused', async () => {
      return (await api.call('GET', `${pathOf(site)}&limit=1`, { token: site.token })).status === 429
    })
    const { text } = await api.call('GET', '/metrics')
    const unread = Number(/^sluice_http_unread_bytes (\S+)$/m.exec(text)?.[1])
    // What is allowed, and the pages that were being read when it was reached.
    expect(unread).toBeLessThan(4 * PAGE_BYTES)
  })

  it('are cut off when their caller takes nothing for too long, which is counted', async () => {
    const hasty = await startTestGateway({ SLUICE_SEND_TIMEOUT_S: '1' }, gateway.ground)
    onTestFinished(() => hasty.stop())
    const socket = askWithoutReading(hasty.url, site, `${pathOf(site)}&limit=1000`)
    await eventually('it is counted', async () =>
      /^sluice_refused_total\{protocol="http",reason="slow"\} [1-9]/m.test(
        (await createApi(hasty.url).call('GET', '/metrics')).text,
      ),
    )
    // What the network has kept comes, and then the end.
    await new Promise((resolve) => socket.once('close', resolve).resume())
  })

  it('of the domain that has most give way to those of others, the oldest first', () => {
    const unread = createUnread({ maxBytes: 100, maxDomainBytes: 60 })
    const cut: string[] = []
    const hold = (domain: string, name: string, bytes: number) =>
      unread.hold(domain, bytes, () => cut.push(name))
    const release = hold('a', 'a1', 30)
    hold('a', 'a2', 29)
    hold('b', 'b1', 41)
    unread.makeRoom('c')
    expect(cut).toEqual(['a1'])
    // As the end of the answer does, which comes later.
    release()
    hold('a', 'a3', 31)
    expect(() => unread.makeRoom('a')).toThrow('not yet read')
    unread.makeRoom('b')
    expect(cut).toEqual(['a1', 'a2'])
  })
})
