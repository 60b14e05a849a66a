import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'
import { captureLog } from '../support/log.ts'
import { withAdmin } from '../support/postgres.ts'

const { log, lines } = captureLog()
let ground: Ground
let gateway: TestGateway
/** Has no database, and asks the other one over the bus. */
let adapters: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>

beforeAll(async () => {
  ground = await startGround()
  gateway = await startTestGateway({}, ground, log)
  adapters = await startTestGateway({ SLUICE_ROLES: 'http' }, ground, log)
  api = createApi(gateway.url)
  site = await api.given.site()
})
afterAll(async () => {
  await adapters.stop()
  await gateway.stop()
  await ground.stop()
})

/** Takes the database away from everybody, or gives it back. */
async function setDatabase(isThere: boolean): Promise<void> {
  const name = new URL(ground.databaseUrl).pathname.slice(1)
  await withAdmin(inject('postgresUrl'), async (admin) => {
    await admin.query(`alter database ${name} with allow_connections ${isThere}`)
    if (!isThere)
      await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
  })
}

describe('while Postgres is away', () => {
  beforeAll(() => setDatabase(false))

  it('every door says 503 and when to come back', async () => {
    const other = createApi(adapters.url)
    const publish = { body: [{ n: 't', v: 1 }], type: 'application/senml+json' }
    const { token, auth, topic } = site
    const stored = `/${site.domain.id}/channels/${site.channel.id}/messages`
    const answers = {
      rest: await api.call('GET', '/users/profile', { token }),
      signIn: await api.call('POST', '/users/tokens/issue', { body: { username: 'a', password: 'b' } }),
      reader: await api.call('GET', stored, { token }),
      // Nobody has asked for these before, so no cache knows.
      device: await api.call('POST', `/${topic}`, { auth, ...publish }),
      deviceOverTheBus: await other.call('POST', `/${topic}`, { auth, ...publish }),
    }

    for (const [door, answer] of Object.entries(answers)) {
      expect(answer.status, door).toBe(503)
      expect(answer.headers.get('retry-after'), door).toBe('1')
      expect(answer.text, door).not.toContain('postgres')
    }
  })

  it('readyz and health name it', async () => {
    const ready = await api.call('GET', '/readyz')
    expect([ready.status, ready.body.missing]).toEqual([503, ['postgres']])
    expect((await api.call('GET', '/health')).status).toBe(503)
  })

  it('the log says so, a few times and not for every request', async () => {
    lines.length = 0
    for (let request = 0; request < 100; request += 1) {
      await api.call('GET', '/users/profile', { token: site.token })
      await api.call('POST', `/${site.topic}`, { auth: `Client x${request}`, body: 'x', type: 'text/plain' })
    }

    const loud = lines.filter((line) => (JSON.parse(line) as { level: number }).level >= 40)
    expect(loud.length).toBeLessThan(20)
  })
})

describe('when Postgres is back', () => {
  beforeAll(() => setDatabase(true))

  it('everything works again', async () => {
    await eventually('it is ready', async () => (await api.call('GET', '/readyz')).status === 200)
    await api.expect(200, 'GET', '/users/profile', { token: site.token })
    await api.expect(202, 'POST', `/${site.topic}`, {
      auth: site.auth,
      body: [{ n: 't', v: 1 }],
      type: 'application/senml+json',
    })
  })
})
