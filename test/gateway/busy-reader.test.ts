import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway({ SLUICE_READ_TIMEOUT_S: '60' })
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

describe('more reads of stored messages than the database can do', () => {
  it('leave devices, people, the health check and readers of other domains alone, and are refused when too many wait', async () => {
    const [greedy, other] = [await api.given.site(), await api.given.site()]
    const path = `/${greedy.domain.id}/channels/${greedy.channel.id}/messages`
    const publish = (site: typeof greedy) =>
      api.expect(202, 'POST', `/${site.topic}`, {
        auth: site.auth,
        body: [{ n: 't', v: 1 }],
        type: 'application/senml+json',
      })
    await publish(greedy)
    await eventually('it is stored', async () => {
      return (await api.expect(200, 'GET', path, { token: greedy.token })).body.total === 1
    })
    const statuses: number[] = []
    // Nobody reads past this lock, however fast the machine is.
    const lock = new Client({ connectionString: gateway.ground.databaseUrl })
    await lock.connect()
    try {
      await lock.query('begin; lock table samples in access exclusive mode')
      const reads = Array.from({ length: 150 }, async () => {
        statuses.push((await api.call('GET', path, { token: greedy.token })).status)
      })
      await eventually('the queue is full', () => statuses.includes(429))

      const others = `/${other.domain.id}/channels/${other.channel.id}/messages`
      await api.expect(200, 'GET', others, { token: other.token })
      await publish(other)
      await api.expect(200, 'GET', '/users/profile', { token: other.token })
      await api.expect(200, 'GET', '/readyz')
      await api.expect(200, 'GET', '/health')

      await lock.query('rollback')
      await Promise.all(reads)
    } finally {
      await lock.end()
    }
    expect(statuses).toContain(200)
    expect(new Set(statuses)).toEqual(new Set([200, 429]))
  })
})
