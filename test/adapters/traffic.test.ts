import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startTraffic } from '../../adapters/traffic.ts'
import type { Traffic, TrafficReport } from '../../adapters/traffic.ts'
import { Unavailable } from '../../platform/errors.ts'
import { createLogger } from '../../platform/log.ts'
import { eventually } from '../support/eventually.ts'

let traffic: Traffic
let reports: TrafficReport[]
let isAway: boolean
beforeEach(() => {
  reports = []
  isAway = false
  traffic = startTraffic({
    sink: {
      report(report) {
        reports.push(report)
        return isAway ? Promise.reject(new Unavailable('away')) : Promise.resolve()
      },
    },
    log: createLogger('fatal'),
    intervalMs: 10,
  })
})
afterEach(() => traffic.stop())

const clientsReported = () => reports.flatMap(({ clients }) => clients)
const next = async (what: (report: TrafficReport) => boolean) => {
  const from = reports.length
  return eventually('a report', () => reports.slice(from).find(what))
}

describe('the traffic of clients', () => {
  it('is reported as it changes: deliveries since the last report, and subscriptions as they are', async () => {
    const clientId = randomUUID()
    let subscriptions = 2
    const { client, end } = traffic.begin(clientId, () => subscriptions)
    const other = traffic.begin(clientId, () => 1)
    client.delivered += 3
    await eventually('the first', () => clientsReported().length === 1)
    expect(clientsReported()).toEqual([{ clientId, delivered: 3, subscriptions: 3 }])
    // Nothing has changed: the process says that it is there, and no more.
    expect((await next(() => true)).clients).toEqual([])
    other.client.delivered += 1
    subscriptions = 0
    other.end()
    await eventually('the second', () => clientsReported().length === 2)
    expect(clientsReported()[1]).toEqual({ clientId, delivered: 1, subscriptions: 0 })
    end()
  })

  it('that could not be reported is reported again as it was, and what came since after it', async () => {
    const clientId = randomUUID()
    isAway = true
    const { client } = traffic.begin(clientId, () => 1)
    client.delivered += 1
    const first = await next(({ clients }) => clients.length === 1)
    client.delivered += 5
    expect(await next(() => true)).toBe(first)
    isAway = false
    const second = await next(({ number }) => number > first.number)
    expect(second.clients).toEqual([{ clientId, delivered: 5, subscriptions: 1 }])
    expect(second.number).toBe(first.number + 1)
  })

  it('of very many clients is told in several reports', async () => {
    const ids = Array.from({ length: 5_000 }, () => randomUUID())
    for (const id of ids) traffic.begin(id, () => 1)
    await eventually('all', () => clientsReported().length === ids.length)
    expect(new Set(clientsReported().map(({ clientId }) => clientId))).toEqual(new Set(ids))
    expect(Math.max(...reports.map(({ clients }) => clients.length))).toBeLessThanOrEqual(2_000)
  })

  it('is reported to its end on the way out', async () => {
    const clientId = randomUUID()
    const { client, end } = traffic.begin(clientId, () => 1)
    await next(({ clients }) => clients.length === 1)
    client.delivered += 7
    end()
    await traffic.stop()
    expect(clientsReported().at(-1)).toEqual({ clientId, delivered: 7, subscriptions: 0 })
  })
})
