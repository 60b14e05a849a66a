import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Bus } from '../../../platform/bus/connect.ts'
import { createCaller, RemoteError, serve } from '../../../platform/bus/rpc.ts'
import { Conflict, Unavailable } from '../../../platform/errors.ts'
import { startTestBus } from '../../support/bus.ts'
import type { TestBus } from '../../support/bus.ts'

let server: TestBus
let client: Bus

beforeAll(async () => {
  server = await startTestBus()
  client = await server.connect()
})
afterAll(() => server.stop())

const handlers = {
  add: async ({ a, b }: { a: number; b: number }): Promise<number> => a + b,
  nothing: async (_input: object): Promise<null> => null,
  collide: async (_input: object): Promise<never> => {
    throw new Conflict('route_taken', 'route not available')
  },
  break: async (_input: object): Promise<never> => {
    throw new Error('password is swordfish')
  },
}

describe('a call over the bus', () => {
  it('comes back with the answer, or with the error as it was', async () => {
    const service = serve(server.bus, 'calc', handlers)
    await service.ready
    const calc = createCaller<typeof handlers>(client, 'calc', ['add', 'nothing', 'collide', 'break'])

    expect(await calc.add({ a: 1, b: 2 })).toBe(3)
    expect(await calc.nothing({})).toBeNull()
    const collision = await calc.collide({}).catch((error: unknown) => error)
    expect(collision).toBeInstanceOf(RemoteError)
    expect(collision).toMatchObject({ kind: 'conflict', code: 'route_taken', message: 'route not available' })
    await service.stop()
  })

  it('tells nothing about an unknown error but at the server', async () => {
    const service = serve(server.bus, 'calc', handlers)
    await service.ready
    const calc = createCaller<typeof handlers>(client, 'calc', ['break'])
    const failure = await calc.break({}).catch((error: unknown) => error)
    expect(failure).toMatchObject({ kind: 'internal', message: 'internal error' })
    expect(server.lines.join()).toContain('swordfish')
    await service.stop()
  })

  it('does not fill the log when every one of them fails', async () => {
    const service = serve(server.bus, 'calc', handlers)
    await service.ready
    const calc = createCaller<typeof handlers>(client, 'calc', ['break'])
    server.lines.length = 0
    const calls = Array.from({ length: 200 }, () => calc.break({}).catch((error: unknown) => error))
    await Promise.all(calls)
    expect(server.lines.length).toBeLessThan(100)
    await service.stop()
  })

  it('is unavailable when nobody serves it, or nobody answers in time; only the log says what', async () => {
    const log = () => server.lines.join()
    server.lines.length = 0
    const calc = createCaller<typeof handlers>(client, 'calc', ['add'], { timeoutMs: 50 })
    await expect(calc.add({ a: 1, b: 2 })).rejects.toThrow(/^a part of the service does not answer$/)
    expect(log()).toMatch(/rpc\.calc\.add.*no process serves it/)
    const silent = server.bus.connection.subscribe('rpc.calc.add', { callback: () => undefined })
    await server.bus.flush()
    const other = createCaller<typeof handlers>(client, 'calc', ['add'], { timeoutMs: 50 })
    await expect(other.add({ a: 1, b: 2 })).rejects.toThrow(/^a part of the service does not answer$/)
    expect(log()).toMatch(/rpc\.calc\.add.*no answer in time/)
    await expect(calc.add({ a: 1, b: 2 })).rejects.toThrow(Unavailable)
    silent.unsubscribe()
  })

  it('is answered by one of the processes that serve it, and by the other when one stops', async () => {
    const served: string[] = []
    const service = (name: string, bus: Bus) => serve(bus, 'who', { me: async () => served.push(name) })
    const [a, b] = [service('a', server.bus), service('b', client)]
    await Promise.all([a.ready, b.ready])
    const who = createCaller<{ me: (input: object) => Promise<number> }>(client, 'who', ['me'])
    await Promise.all(Array.from({ length: 50 }, () => who.me({})))
    expect(served).toHaveLength(50)
    await a.stop()
    served.length = 0
    await who.me({})
    expect(served).toEqual(['b'])
    await b.stop()
  })

  it('waits for its turn, and is refused when too many wait', async () => {
    let open = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    let running = 0
    let most = 0
    const slow = async (): Promise<number> => {
      running += 1
      most = Math.max(most, running)
      await gate
      running -= 1
      return 1
    }
    const service = serve(server.bus, 'slow', { slow }, { concurrency: 2 })
    await service.ready
    const caller = createCaller<{ slow: (input: object) => Promise<number> }>(client, 'slow', ['slow'])
    const calls = Array.from({ length: 25 }, () => caller.slow({}).catch((error: unknown) => error))
    await vi.waitFor(() => expect(running).toBe(2))
    // The last three find two running and twenty waiting.
    expect(await Promise.all(calls.slice(22))).toEqual(
      Array.from({ length: 3 }, () => expect.objectContaining({ kind: 'unavailable' })),
    )
    const stopped = service.stop()
    open()
    await stopped
    expect(await Promise.all(calls.slice(0, 22))).toEqual(Array.from({ length: 22 }, () => 1))
    expect(most).toBe(2)
  })
})
