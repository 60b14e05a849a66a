import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../platform/log.ts'
import { StartError } from '../start-error.ts'
import { startChild, stopLeftover } from './child.ts'
import type { StopSignal } from './child.ts'
import { unusable } from '../data-folder.ts'
import { claimPart } from './claim.ts'
import type { Claim } from './claim.ts'
import { READY_TIMEOUT_MS, supervise } from './server.ts'
import type { EmbeddedServer, ServerOptions } from './server.ts'

export interface NatsOptions extends ServerOptions {
  /** Path of nats-server, 2.9.10 or newer. */
  readonly binary: string
}

const USER = 'sluice'
const STOP_SIGNALS: readonly StopSignal[] = [['SIGTERM', 5_000]]

/**
 * Starts nats-server with JetStream on the loopback address, its data in `<dataDir>/nats`. The password is a new one each
 * time; it stands in a file that only we can read, not on the command line.
 *
 * @throws {StartError} the data folder is in use or unusable, or the server does not start
 */
export async function startNats(options: NatsOptions): Promise<EmbeddedServer> {
  // The server takes no lock on its folder; two of them in one would ruin it.
  const claim = await claimPart(options.dataDir, 'nats')
  try {
    if (claim.leftover) await stopLeftover(claim.leftover, 'nats-server', STOP_SIGNALS)
    mkdirSync(claim.path, { recursive: true, mode: 0o700 })
    // A killed server leaves its ports file; under a process id that comes again it would be taken for the new one.
    for (const file of readdirSync(claim.path)) if (file.endsWith('.ports')) rmSync(join(claim.path, file))
    return await launch(options, claim)
  } catch (error) {
    claim.release()
    throw error instanceof Error && 'syscall' in error ? unusable(options.dataDir, error) : error
  }
}

async function launch(options: NatsOptions, claim: Claim): Promise<EmbeddedServer> {
  const password = randomBytes(24).toString('hex')
  const configFile = join(claim.path, 'nats-server.conf')
  // A file of an earlier run keeps its mode when it is written over.
  rmSync(configFile, { force: true })
  writeFileSync(configFile, configuration(claim.path, options.port, password), { mode: 0o600 })
  const errors: string[] = []
  const child = await startChild({
    name: 'nats-server',
    command: options.binary,
    args: ['-c', configFile],
    cwd: claim.path,
    stopSignals: STOP_SIGNALS,
    onLine: (line) => {
      if (/\[(ERR|FTL)\]|^nats-server: /.test(line))
        errors.push(line.replace(/^\[\d+\] \S+ \S+ \[\w+\] |^nats-server: /, ''))
      forward(options.log, line)
    },
  })
  claim.recordChild(child.pid)
  const portsFile = join(claim.path, `nats-server_${child.pid}.ports`)
  const ready = new AbortController()
  try {
    const outcome = await Promise.race([waitUntilReady(portsFile, ready.signal), child.exited])
    if (typeof outcome !== 'string') {
      const url = `nats://${USER}:${password}@127.0.0.1:${outcome.port}`
      return supervise('nats-server', child, claim, url, options.onExit)
    }
    throw new StartError(
      `nats-server (${options.binary}) did not start (${outcome}): ${errors.at(-1) ?? 'no reason given'}`,
    )
  } catch (error) {
    await child.stop()
    throw error
  } finally {
    ready.abort()
  }
}

function configuration(path: string, port: number | undefined, password: string): string {
  const quoted = JSON.stringify(path)
  return `# Written anew at each start.
server_name: sluice
# -1: the server takes a free port and writes it into the ports file.
listen: "127.0.0.1:${port ?? -1}"
ports_file_dir: ${quoted}
max_payload: 8MB
authorization { user: ${USER}, password: "${password}" }
jetstream {
  store_dir: ${quoted}
  # Streams bring their own bounds. The server's guess, a share of what is free at its start, would refuse the streams of
  # yesterday on a disk that has filled since.
  max_file_store: 1TB
  max_memory_store: 256MB
}
`
}

/** Waits until the server greets, with JetStream on. It recovers its streams before it listens. */
async function waitUntilReady(
  portsFile: string,
  signal: AbortSignal,
): Promise<{ port: number } | 'too slow'> {
  const deadline = Date.now() + READY_TIMEOUT_MS
  while (!signal.aborted && Date.now() < deadline) {
    const port = readPort(portsFile)
    if (port !== undefined && (await greets(port))) return { port }
    await sleep(10)
  }
  return 'too slow'
}

function readPort(portsFile: string): number | undefined {
  try {
    const ports = JSON.parse(readFileSync(portsFile, 'utf8')) as { nats?: string[] }
    return Number(new URL(ports.nats?.[0] ?? '').port)
  } catch {
    // Not there yet, or half written.
    return undefined
  }
}

async function greets(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    const [greeting] = (await once(socket, 'data', { signal: AbortSignal.timeout(2_000) })) as [Buffer]
    return greeting.toString('latin1').includes('"jetstream":true')
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

function forward(log: Logger, line: string): void {
  if (/\[(ERR|FTL)\]/.test(line)) log.error({ line }, 'nats-server reports')
  // The password lives as long as the process and stands where nobody else can read it.
  else if (/\[WRN\] (?!Plaintext passwords)/.test(line)) log.warn({ line }, 'nats-server reports')
  else log.debug({ line }, 'nats-server reports')
}
