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
  gateway = await startTestGateway()
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

describe('more reads of stored messages than the database can do', () => {
  it('leave devices, people and the health check alone, and are refused when too many wait', async () => {
    const [greedy, other] = [await api.given.site(), await api.given.site()]
    const path = `/${greedy.domain.id}/channels/${greedy.channel.id}/messages`
    const statuses: number[] = []
    // Nobody reads past this lock, however fast the machine is.
    const lock = new Client({ connectionString: gateway.ground.databaseUrl })
    await lock.connect()
    try {
      await lock.query('begin; lock table readings in access exclusive mode')
      const reads = Array.from({ length: 150 }, async () => {
        statuses.push((await api.call('GET', path, { token: greedy.token })).status)
      })
      await eventually('the queue is full', () => statuses.includes(503))

      await api.expect(202, 'POST', `/${other.topic}`, {
        auth: other.auth,
        body: [{ n: 't', v: 1 }],
        type: 'application/senml+json',
      })
      await api.expect(200, 'GET', '/users/profile', { token: other.token })
      await api.expect(200, 'GET', '/readyz')
      await api.expect(200, 'GET', '/health')

      await lock.query('rollback')
      await Promise.all(reads)
    } finally {
      await lock.end()
    }
    expect(statuses).toContain(200)
    expect(new Set(statuses)).toEqual(new Set([200, 503]))
  })
})
