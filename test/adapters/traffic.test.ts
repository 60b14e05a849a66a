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
let wantsAll: boolean
beforeEach(() => {
  reports = []
  isAway = false
  wantsAll = false
  traffic = start(10)
})
afterEach(() => traffic.stop())

const start = (intervalMs: number) =>
  startTraffic({
    node: randomUUID(),
    sink: {
      report(report) {
        reports.push(report)
        if (isAway) return Promise.reject(new Unavailable('away'))
        const answer = { wantsAll }
        wantsAll = false
        return Promise.resolve(answer)
      },
    },
    log: createLogger('fatal'),
    intervalMs,
  })

const opened = (protocol: string) => ({ protocol, atMs: expect.any(Number) as number, hasConnected: true })
const closed = (protocol: string) => ({ ...opened(protocol), hasConnected: false })

const clientsReported = () => reports.flatMap(({ clients }) => clients)
const next = async (what: (report: TrafficReport) => boolean) => {
  const from = reports.length
  return eventually('a report', () => reports.slice(from).find(what))
}

describe('the traffic of clients', () => {
  it('is reported as it changes: deliveries since the last report, and subscriptions as they are', async () => {
    const clientId = randomUUID()
    let subscriptions = 2
    const { client, end } = traffic.begin(clientId, 'mqtt', () => subscriptions)
    const other = traffic.begin(clientId, 'ws', () => 1)
    client.delivered += 3
    await eventually('the first', () => clientsReported().length === 1)
    expect(clientsReported()).toEqual([
      { clientId, delivered: 3, subscriptions: 3, connections: 2, seen: opened('ws') },
    ])
    // Nothing has changed: the process says that it is there, and no more.
    expect((await next(() => true)).clients).toEqual([])
    other.client.delivered += 1
    subscriptions = 0
    other.end()
    await eventually('the second', () => clientsReported().length === 2)
    expect(clientsReported()[1]).toEqual({
      clientId,
      delivered: 1,
      subscriptions: 0,
      connections: 1,
      seen: closed('mqtt'),
    })
    end()
  })

  it('that could not be reported is reported again as it was, and what came since after it', async () => {
    const clientId = randomUUID()
    isAway = true
    const { client } = traffic.begin(clientId, 'mqtt', () => 1)
    client.delivered += 1
    const first = await next(({ clients }) => clients.length === 1)
    client.delivered += 5
    expect(await next(() => true)).toBe(first)
    isAway = false
    const second = await next(({ number }) => number > first.number)
    expect(second.clients).toEqual([{ clientId, delivered: 5, subscriptions: 1, connections: 1 }])
    expect(second.number).toBe(first.number + 1)
  })

  it('of very many clients is told in several reports', async () => {
    const ids = Array.from({ length: 5_000 }, () => randomUUID())
    for (const id of ids) traffic.begin(id, 'mqtt', () => 1)
    await eventually('all', () => clientsReported().length === ids.length)
    expect(new Set(clientsReported().map(({ clientId }) => clientId))).toEqual(new Set(ids))
    expect(Math.max(...reports.map(({ clients }) => clients.length))).toBeLessThanOrEqual(2_000)
  })

  it('is reported to its end on the way out', async () => {
    const clientId = randomUUID()
    const { client, end } = traffic.begin(clientId, 'mqtt', () => 1)
    await next(({ clients }) => clients.length === 1)
    client.delivered += 7
    end()
    await traffic.stop()
    expect(clientsReported().at(-1)).toEqual({
      clientId,
      delivered: 7,
      subscriptions: 0,
      connections: 0,
      seen: closed('mqtt'),
    })
  })
})

describe('a connection that comes or goes', () => {
  it('is reported ahead of the rest, and so is one that has come and gone', async () => {
    await traffic.stop()
    // Longer than any test: what is reported is not waiting for it.
    traffic = start(3_600_000)
    const clientId = randomUUID()
    const { client, end } = traffic.begin(clientId, 'mqtt', () => 0)
    await eventually('it came', () => clientsReported().length === 1)
    client.delivered += 1
    end()
    await eventually('it went', () => clientsReported().length === 2)
    expect(clientsReported()[1]).toMatchObject({ delivered: 1, connections: 0, seen: closed('mqtt') })
    traffic.begin(clientId, 'ws', () => 0).end()
    await eventually('both', () => clientsReported().length === 3)
    expect(clientsReported()[2]).toMatchObject({ connections: 0, seen: opened('ws') })
  })

  it('while a report is on its way is told by the next', async () => {
    await traffic.stop()
    traffic = start(3_600_000)
    const ids = Array.from({ length: 3_000 }, () => randomUUID())
    for (const id of ids.slice(0, 2_999)) traffic.begin(id, 'mqtt', () => 0)
    await next(({ clients }) => clients.length === 2_000)
    traffic.begin(ids[2_999] as string, 'mqtt', () => 0)
    await eventually('all', () => clientsReported().length === ids.length)
  })

  it('is told again when nobody knows of it any more, and what has ended is not', async () => {
    const clientId = randomUUID()
    traffic.begin(clientId, 'mqtt', () => 2)
    traffic.begin(randomUUID(), 'mqtt', () => 1).end()
    expect((await next(({ clients }) => clients.length === 2)).isWhole).toBe(true)
    expect((await next(() => true)).isWhole).toBe(false)
    wantsAll = true
    const again = await next(({ isWhole }) => isWhole)
    expect(again.clients).toEqual([
      { clientId, delivered: 0, subscriptions: 2, connections: 1, seen: closed('mqtt') },
    ])
    expect((await next(() => true)).clients).toEqual([])
  })
})

describe('a client that publishes without a connection', () => {
  it('is reported as seen, and not once more when nothing has come since', async () => {
    const clientId = randomUUID()
    traffic.noteRequest(clientId)
    traffic.noteRequest(clientId)
    await eventually('seen', () => clientsReported().length === 1)
    expect(clientsReported()[0]).toEqual({
      clientId,
      delivered: 0,
      subscriptions: 0,
      connections: 0,
      seen: closed('http'),
    })
    traffic.begin(randomUUID(), 'mqtt', () => 0)
    await next(({ clients }) => clients.length === 0)
    expect(clientsReported()).toHaveLength(2)
  })

  it('is known by its connection where it has one', async () => {
    const clientId = randomUUID()
    traffic.begin(clientId, 'ws', () => 0)
    await next(({ clients }) => clients.length === 1)
    traffic.noteRequest(clientId)
    const { clients } = await next((report) => report.clients.length === 1)
    expect(clients[0]).toMatchObject({ connections: 1, seen: closed('ws') })
  })
})
