import { once } from 'node:events'
import { chmod, readdir, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect } from 'nats'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { startChild } from '../../../gateway/embedded/child.ts'
import { startNats } from '../../../gateway/embedded/nats.ts'
import { identify } from '../../../gateway/embedded/process-identity.ts'
import { StartError } from '../../../gateway/start-error.ts'
import { connectBus } from '../../../platform/bus/connect.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { captureLog } from '../../support/log.ts'

interface Options {
  port?: number
  binary?: string
  onExit?: (reason: string) => void
}

async function start(dataDir: string, options: Options = {}) {
  const { log, lines } = captureLog()
  const server = await startNats({ dataDir, log, binary: inject('natsServer'), ...options })
  onTestFinished(() => server.stop())
  return { ...server, log, lines }
}

describe('the embedded NATS', () => {
  it('keeps its streams from one start to the next', async () => {
    const dataDir = await temporaryFolder()
    const first = await start(dataDir)
    const before = await connectBus({ servers: first.url, name: 'test', log: first.log })
    const manager = await before.connection.jetstreamManager()
    await manager.streams.add({ name: 'kept', subjects: ['kept'], max_bytes: 16_777_216 })
    await before.connection.jetstream().publish('kept', 'a message')
    await before.drain()
    await first.stop()

    const second = await start(dataDir)
    const after = await connectBus({ servers: second.url, name: 'test', log: second.log })
    const { state } = await (await after.connection.jetstreamManager()).streams.info('kept')
    await after.drain()

    expect(state.messages).toBe(1)
    await second.stop()
    expect(await readdir(dataDir)).toEqual(['nats'])
  })

  it('lets nobody in without the password of this start, which only we can read', async () => {
    const dataDir = await temporaryFolder()
    const { url, lines } = await start(dataDir)
    const { host, password } = new URL(url)

    await expect(connect({ servers: host, reconnect: false })).rejects.toThrow(/authorization/i)

    expect((await stat(join(dataDir, 'nats', 'nats-server.conf'))).mode & 0o777).toBe(0o600)
    expect(lines.join('\n')).not.toContain(password)
  })

  it('ends what a killed gateway left running, and goes on with its data', async () => {
    const dataDir = await temporaryFolder()
    const orphan = await startChild({
      name: 'nats-server',
      command: inject('natsServer'),
      args: ['-a', '127.0.0.1', '-p', '-1', '-js', '-sd', dataDir],
      cwd: dataDir,
      stopSignals: [],
      onLine: () => {},
    })
    onTestFinished(() => orphan.stop())
    const child = { pid: orphan.pid, identity: identify(orphan.pid) }
    await writeFile(
      join(dataDir, 'nats.owner.1-0'),
      JSON.stringify({ pid: 1, identity: 'some other boot/1', child }),
    )

    await start(dataDir)

    expect(await orphan.exited).toMatch(/^exit status|^ended by SIGTERM/)
  })

  it('says which port is taken, and leaves nothing behind', async () => {
    const dataDir = await temporaryFolder()
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    onTestFinished(() => void other.close())
    const { port } = other.address() as AddressInfo

    const attempt = start(dataDir, { port })

    await expect(attempt).rejects.toThrow(StartError)
    await expect(attempt).rejects.toThrow(
      new RegExp(`did not start .*127.0.0.1:${port}.*address already in use`),
    )
    expect(await readdir(dataDir)).toEqual(['nats'])
  })

  it('says in one sentence that the program cannot be run', async () => {
    const dataDir = await temporaryFolder()
    const binary = join(dataDir, 'nats-server')
    await writeFile(binary, 'not a program')
    await chmod(binary, 0o644)

    await expect(start(dataDir, { binary })).rejects.toThrow(
      new StartError(`nats-server cannot be run: spawn ${binary} EACCES.`),
    )
  })

  it('tells when it ends without having been asked to', async () => {
    let tell: (reason: string) => void = () => {}
    const told = new Promise<string>((resolve) => (tell = resolve))
    const { pid } = await start(await temporaryFolder(), { onExit: tell })

    process.kill(pid, 'SIGKILL')

    expect(await told).toBe('nats-server ended unexpectedly (ended by SIGKILL).')
  })
})
