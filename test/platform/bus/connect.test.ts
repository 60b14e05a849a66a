import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { connectBus } from '../../../platform/bus/connect.ts'
import { Unavailable } from '../../../platform/errors.ts'
import { captureLog } from '../../support/log.ts'
import { freePort, startTestNats } from '../../support/nats.ts'
import type { TestNats } from '../../support/nats.ts'

let dir: string
let port: number
let nats: TestNats

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'sluice-bus-'))
  port = await freePort()
  nats = await startTestNats({ dir, port, args: ['--user', 'gateway', '--pass', 'hush'] })
})

afterEach(async () => {
  await nats.stop()
  await rm(dir, { recursive: true, force: true })
})

const withCredentials = (): string => `nats://gateway:hush@127.0.0.1:${port}`

describe('the connection to the bus', () => {
  it('tells of a server that goes and comes back, once each, and carries on', async () => {
    const { log, lines } = captureLog()
    const bus = await connectBus({ servers: withCredentials(), name: 'test', log })
    const disconnected = vi.fn<() => void>()
    const reconnected = vi.fn<() => void>()
    bus.onDisconnect(disconnected)
    bus.onReconnect(reconnected)
    const received: string[] = []
    bus.connection.subscribe('ping', { callback: (_error, msg) => received.push(msg.string()) })
    await bus.flush()
    expect(bus.isConnected).toBe(true)

    await nats.stop()
    await vi.waitFor(() => expect(disconnected).toHaveBeenCalled())
    expect(bus.isConnected).toBe(false)
    await expect(bus.flush()).rejects.toThrow(Unavailable)

    nats = await startTestNats({ dir, port, args: ['--user', 'gateway', '--pass', 'hush'] })
    await vi.waitFor(() => expect(reconnected).toHaveBeenCalledOnce(), { timeout: 5_000 })
    expect(bus.isConnected).toBe(true)
    bus.connection.publish('ping', 'again')
    await vi.waitFor(() => expect(received).toEqual(['again']))
    await bus.drain()

    expect(lines.filter((line) => line.includes('bus disconnected'))).toHaveLength(1)
    expect(lines.filter((line) => line.includes('bus reconnected'))).toHaveLength(1)
    expect(lines.join()).not.toContain('hush')
  })

  it('is refused with a wrong password, which stays out of the error', async () => {
    const { log } = captureLog()
    const attempt = connectBus({ servers: `nats://gateway:hush2@127.0.0.1:${port}`, name: 'test', log })
    const error = await attempt.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Unavailable)
    expect((error as Error).message).toContain(`127.0.0.1:${port}`)
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hush2')
  })

  it('drains at once when the server is away', async () => {
    const { log } = captureLog()
    const bus = await connectBus({ servers: withCredentials(), name: 'test', log })
    await nats.stop()
    await vi.waitFor(() => expect(bus.isConnected).toBe(false))
    await bus.drain()
    expect(bus.connection.isClosed()).toBe(true)
  })
})
