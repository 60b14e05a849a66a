import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { banner } from '../../gateway/banner.ts'
import { loadConfig } from '../../platform/config.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway({ SLUICE_ADMIN_EMAIL: 'Ops@Example.com' })
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

const isSetting = (username: string) => {
  try {
    loadConfig({ SLUICE_ADMIN_USERNAME: username })
    return true
  } catch {
    return false
  }
}

describe('the first super-admin', () => {
  it.each(['Ops@Example.com', 'ops@example.com', ADMIN.username])('signs in as %s', async (identity) => {
    await api.signIn(identity, ADMIN.password)
  })

  it.each([
    ['ops', true],
    ['Ops-1_x', true],
    ['x'.repeat(32), true],
    ['x'.repeat(33), false],
    ['_ops', false],
    ['o__p', false],
    ['o--p', false],
    ['ops@example.com', false],
    ['two words', false],
  ])('may be called %s: %s, by the rule that everybody signs up by', async (username, isFine) => {
    const answer = await api.call('POST', '/users', {
      body: {
        first_name: 'a',
        last_name: 'b',
        email: `${Math.random()}@example.com`,
        credentials: { username, secret: '12345678' },
      },
    })
    expect([isSetting(username), answer.status]).toEqual([isFine, isFine ? 201 : 400])
  })
})

describe('the banner', () => {
  const up = {
    httpPorts: [8080],
    mqttPort: 1883,
    mqttsPort: undefined,
    reload: undefined,
    endpoints: [],
    firstAdmin: undefined,
    stop: () => Promise.resolve(),
  }

  it('says where people outside reach the gateway, when that is known', () => {
    const config = loadConfig({ SLUICE_PUBLIC_URL: 'https://iot.example.com' })
    expect(banner(config, up, 1)).toMatch(/from outside +https:\/\/iot\.example\.com\n/)
    expect(banner(loadConfig({}), up, 1)).not.toContain('from outside')
  })
})
