import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase } from '../../platform/db/connect.ts'
import type { Db } from '../../platform/db/connect.ts'
import { removeExpiredDays } from '../../services/messages/retention.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

const DAY = 86_400
const PLATFORM_DAYS = 400
const now = Date.now() / 1_000

let gateway: TestGateway
let api: Api
let db: Db
beforeAll(async () => {
  gateway = await startTestGateway({ SLUICE_MESSAGE_RETENTION_DAYS: String(PLATFORM_DAYS) })
  api = createApi(gateway.url)
  db = createDatabase({ url: gateway.ground.databaseUrl, maxConnections: 2 })
})
afterAll(async () => {
  await db.destroy()
  await gateway.stop()
})

type Site = Awaited<ReturnType<Api['given']['site']>>

const change = (site: Site, days: unknown, token = site.token) =>
  api.call('PATCH', `/domains/${site.domain.id}`, { token, body: { message_retention_days: days } })

/** Ages in days of what is stored of the site, once all has been removed that has expired. */
async function kept(site: Site): Promise<number[]> {
  await removeExpiredDays(db, PLATFORM_DAYS, now, new AbortController().signal)
  const path = `/${site.domain.id}/channels/${site.channel.id}/messages?limit=100`
  const { messages } = (await api.expect(200, 'GET', path, { token: site.token })).body
  return (messages as { time: number }[]).map(({ time }) => Math.round((now - time) / DAY))
}

describe('how long a domain keeps messages', () => {
  it('is set by its admins, and acts on what is stored', async () => {
    const [site, other] = [await api.given.site(), await api.given.site()]
    for (const each of [site, other]) {
      const body = [1, 5, 20].map((age) => ({ n: 'x', t: now - age * DAY, v: age }))
      await api.expect(202, 'POST', `/${each.topic}`, { auth: each.auth, body })
      await eventually('it is stored', async () => (await kept(each)).length === 3)
    }
    expect(site.domain).not.toHaveProperty('message_retention_days')
    expect((await change(site, 10)).body).toMatchObject({ message_retention_days: 10, name: 'Plant' })
    expect(await kept(site)).toEqual([1, 5])
    expect(await kept(other)).toEqual([1, 5, 20])
    await change(site, 3)
    expect(await kept(site)).toEqual([1])
    const { body } = await api.expect(200, 'GET', `/domains/${site.domain.id}`, { token: site.token })
    expect(body.message_retention_days).toBe(3)
  })

  it('stays when it is not named, and is the platform’s again with null', async () => {
    const site = await api.given.site()
    await change(site, 10)
    const path = `/domains/${site.domain.id}`
    const { body } = await api.expect(200, 'PATCH', path, { token: site.token, body: { name: 'Mill' } })
    expect(body).toMatchObject({ name: 'Mill', message_retention_days: 10 })
    expect((await change(site, null)).body).not.toHaveProperty('message_retention_days')
  })

  it('may be said at its creation', async () => {
    const person = await api.given.person()
    const domain = await api.given.domain(person.token, { message_retention_days: 7 })
    expect(domain.message_retention_days).toBe(7)
  })

  it.each([0, -1, 1.5, 36_501, '7', true])('is a number of days, and not %j', async (days) => {
    const site = await api.given.site()
    const { status, body } = await change(site, days)
    expect(status).toBe(400)
    expect(body.message).toContain('message_retention_days')
  })

  it('is for those who may change the domain', async () => {
    const site = await api.given.site()
    const stranger = await api.given.person()
    expect((await change(site, 1, stranger.token)).status).toBe(403)
  })

  it('is longer than the platform’s by a superadmin’s leave alone, since it keeps the weeks of all', async () => {
    const site = await api.given.site()
    const { status, body } = await change(site, PLATFORM_DAYS + 1)
    expect(status).toBe(400)
    expect(body.message).toContain('at most 400')
    const { token } = await api.signIn(ADMIN.username, ADMIN.password)
    expect((await change(site, PLATFORM_DAYS + 1, token)).status).toBe(200)
    const person = await api.given.person()
    const wanted = { name: 'Plant', message_retention_days: PLATFORM_DAYS + 1 }
    await api.expect(400, 'POST', '/domains', { token: person.token, body: wanted })
  })
})
