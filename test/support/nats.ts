import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { connect, NatsError } from 'nats'
import { inject } from 'vitest'
import { startChild } from '../../gateway/embedded/child.ts'

export interface TestNats {
  readonly url: string
  /** As a power cut does it. */
  stop(): Promise<void>
}

/** A real nats-server with JetStream on a free port of the loopback, its data in a folder of its own. */
export async function startTestNats(
  options: {
    port?: number
    args?: readonly string[]
    dir?: string
    isJetStreamOn?: boolean
    /** What may wait for one connection before the server ends it. */
    maxPendingBytes?: number
  } = {},
): Promise<TestNats> {
  const dir = options.dir ?? (await mkdtemp(path.join(tmpdir(), 'sluice-nats-')))
  const port = options.port ?? (await freePort())
  const jetStream = options.isJetStreamOn === false ? [] : ['-js', '-sd', dir]
  const config = path.join(dir, 'nats.conf')
  if (options.maxPendingBytes !== undefined)
    await writeFile(config, `max_pending: ${options.maxPendingBytes}\n`)
  const settings = options.maxPendingBytes === undefined ? [] : ['-c', config]
  // Ends with the test process, however that one ends.
  const child = await startChild({
    name: 'nats-server',
    command: inject('natsServer'),
    args: ['-a', '127.0.0.1', '-p', String(port), ...settings, ...jetStream, ...(options.args ?? [])],
    cwd: dir,
    stopSignals: [],
    onLine: () => {},
  })
  const url = `nats://127.0.0.1:${port}`
  await Promise.race([
    waitUntilUp(url),
    child.exited.then((reason) => Promise.reject(new Error(`nats-server ended: ${reason}`))),
  ])
  return {
    url,
    async stop() {
      await child.stop()
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true })
    },
  }
}

async function waitUntilUp(url: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const connection = await connect({ servers: url, reconnect: false })
      await connection.close()
      return
    } catch (error) {
      // Up, and it wants credentials that are not ours to know.
      if (error instanceof NatsError && error.isAuthError()) return
      if (attempt === 200) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => {
    server.close(resolve)
  })
  return port
}
