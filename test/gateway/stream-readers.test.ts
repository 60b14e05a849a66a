import { afterAll, beforeAll, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'
import { freePort, startTestNats } from '../support/nats.ts'
import type { TestNats } from '../support/nats.ts'

let nats: TestNats
let monitorPort: number
let ground: Ground
let gateway: TestGateway
beforeAll(async () => {
  monitorPort = await freePort()
  nats = await startTestNats({ args: ['-m', String(monitorPort)] })
  ground = await startGround()
  gateway = await startTestGateway({ SLUICE_ROLES: 'http,api,reader' }, { ...ground, natsUrl: nats.url })
})
afterAll(async () => {
  await gateway.stop()
  await Promise.all([nats.stop(), ground.stop()])
})

/** What the server has sent over each connection. */
async function sentBytes(): Promise<ReadonlyMap<string, number>> {
  const answer = await fetch(`http://127.0.0.1:${monitorPort}/connz`)
  const { connections } = (await answer.json()) as { connections: { name: string; out_bytes: number }[] }
  return new Map(connections.map(({ name, out_bytes: bytes }) => [name, bytes]))
}

it('what callers read off the stream does not come over the connection that devices publish over', async () => {
  const api = createApi(gateway.url)
  const site = await api.given.site()
  const body = [{ n: 'x', vs: 'x'.repeat(100_000) }]
  for (let i = 0; i < 5; i++) {
    await api.expect(202, 'POST', `/${site.topic}`, { auth: site.auth, body, type: 'application/senml+json' })
  }
  const before = await sentBytes()
  const replay = `/channels/${site.channel.id}/replay`
  const { text } = await api.expect(200, 'POST', replay, { auth: site.auth, body: { from_sequence: 1 } })
  expect(text.length).toBeGreaterThan(500_000)
  const after = await sentBytes()
  const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
  expect(grown('sluice stream readers')).toBeGreaterThan(500_000)
  expect(grown('sluice')).toBeLessThan(50_000)
})
