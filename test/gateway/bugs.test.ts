import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createRefusals } from '../../adapters/refusals.ts'
import { answerErrors } from '../../gateway/http/errors.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createApi } from '../support/api.ts'
import { captureLog } from '../support/log.ts'

describe('a bug that every request runs into', () => {
  it('is 500 without a word of why, and does not fill the log', async () => {
    const { log, lines } = captureLog()
    const app = new Koa()
    app.use(answerErrors(log))
    app.use(() => Promise.reject(new Error('password is swordfish')))
    const answer = app.callback()
    const server = createServer((req, res) => void answer(req, res)).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const api = createApi(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)

    for (let request = 0; request < 200; request += 1) {
      const { status, body } = await api.call('GET', '/')
      expect([status, body]).toEqual([500, { error: 'internal', message: 'internal error' }])
    }

    expect(lines.join('')).toContain('swordfish')
    expect(lines.length).toBeLessThan(100)
  })

  it('in an adapter is counted every time, and logged some times', async () => {
    const { log, lines } = captureLog()
    const metrics = createMetrics()
    const refusals = createRefusals({ protocol: 'test', log, metrics })

    for (let packet = 0; packet < 200; packet += 1) refusals.noteError(new Error('a bug'), { packet })

    expect(metrics.refused('test', 'internal').value).toBe(200)
    expect(lines.join('')).toContain('a bug')
    expect(lines.length).toBeLessThan(100)
  })
})
