import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'
import { captureLog } from '../support/log.ts'

const { log, lines } = captureLog()
let ground: Ground
let adapters: TestGateway
let management: TestGateway | undefined

beforeAll(async () => {
  ground = await startGround()
  adapters = await startTestGateway({ SLUICE_ROLES: 'http,mqtt,ws', SLUICE_DATABASE_URL: '' }, ground, log)
})
afterAll(async () => {
  await management?.stop()
  await adapters.stop()
  await ground.stop()
})

describe('a process of adapters alone', () => {
  it('is ready only while a process with the role api answers it', async () => {
    const { call } = createApi(adapters.url)
    const ready = () => call('GET', '/readyz')
    expect([(await ready()).status, (await ready()).body.missing]).toEqual([503, ['api']])

    management = await startTestGateway({}, ground)
    await eventually('it is ready', async () => (await ready()).status === 200)

    await management.stop()
    management = undefined
    await eventually('it is not ready', async () => (await ready()).body.missing?.join() === 'api')
  })

  it('tells strangers that something is away, and the log what', async () => {
    const { call } = createApi(adapters.url)
    const path = '/m/7b4a3c1e-0d57-4a4e-9d5c-0a3f4ad0a001/c/7b4a3c1e-0d57-4a4e-9d5c-0a3f4ad0a002'
    const answer = await call('POST', path, { auth: 'Client unknown', body: [{ n: 't', v: 1 }] })

    expect(answer.status).toBe(503)
    expect(answer.text).not.toContain('rpc')
    expect(lines.join()).toMatch(/rpc\.authority\.\w+.*no process serves it/)
  })
})
