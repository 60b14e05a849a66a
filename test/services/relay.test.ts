import { randomUUID } from 'node:crypto'
import { connect } from 'nats'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { createApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let db: Client
beforeAll(async () => {
  gateway = await startTestGateway()
  db = new Client({ connectionString: gateway.ground.databaseUrl })
  await db.connect()
})
afterAll(async () => {
  await db.end()
  await gateway.stop()
})

describe('announcing the journal', () => {
  it('is not held up by an entry that the bus cannot carry: a revocation behind them acts within a second', async () => {
    const api = createApi(gateway.url)
    const site = await api.given.site()
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${site.topic}`, {
      headers: { authorization: site.auth },
    })
    await new Promise((resolve) => socket.once('open', resolve))
    let code: number | undefined
    socket.once('close', (closeCode) => (code = closeCode))
    // Larger than the bus takes.
    await db.query(
      `insert into journal (id, operation, entity_type, entity_id, attributes)
       values ($1, 'channel.update', 'channel', $2, jsonb_build_object('metadata', repeat('x', 2000000)))`,
      [randomUUID(), randomUUID()],
    )
    await api.expect(204, 'POST', `/${site.domain.id}/channels/disconnect`, {
      token: site.token,
      body: { channel_ids: [site.channel.id], client_ids: [site.client.id] },
    })
    await eventually('the socket is closed', () => code, 2_000)
    expect(code).toBe(1008)
    await eventually('nothing waits', async () => {
      const { rows } = await db.query('select from journal where not announced')
      return rows.length === 0
    })
  })

  it('is not held up by a bus that keeps nothing: a revocation behind hundreds of entries acts all the same', async () => {
    const own = await startTestGateway()
    onTestFinished(() => own.stop())
    const site = await createApi(own.url).given.site()
    const socket = new WebSocket(`${own.url.replace('http', 'ws')}/${site.topic}`, {
      headers: { authorization: site.auth },
    })
    await new Promise((resolve) => socket.once('open', resolve))
    let code: number | undefined
    socket.once('close', (closeCode) => (code = closeCode))
    const nats = await connect({ servers: own.ground.natsUrl })
    onTestFinished(() => nats.close())
    const manager = await nats.jetstreamManager()
    const { config } = await manager.streams.info('events')
    await manager.streams.delete('events')
    await own.ground.query(
      `insert into journal (id, operation, entity_type, entity_id)
       select gen_random_uuid(), 'channel.update', 'channel', gen_random_uuid() from generate_series(1, 1200)`,
    )
    await createApi(own.url).expect(204, 'POST', `/${site.domain.id}/channels/disconnect`, {
      token: site.token,
      body: { channel_ids: [site.channel.id], client_ids: [site.client.id] },
    })
    await eventually('the socket is closed', () => code, 5_000)
    expect(code).toBe(1008)

    await manager.streams.add(config)
    await eventually('nothing waits', async () => {
      const { rows } = await own.ground.query('select from journal where not announced')
      return rows.length === 0
    })
    const { state } = await manager.streams.info('events')
    expect(state.messages).toBeGreaterThan(1_200)
  })
})
