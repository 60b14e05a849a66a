import { randomBytes } from 'node:crypto'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { StartError } from '../start-error.ts'
import { startChild, stopLeftover } from './child.ts'
import type { StopSignal } from './child.ts'
import type { Claim } from './claim.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import { commandLine, identify } from './process-identity.ts'
import { chooseOwner, runAs } from './unprivileged.ts'
import type { Owner, RunAs } from './unprivileged.ts'

/** A data folder that the server can be started on. */
export interface PostgresData {
  readonly password: string
  /** Runs a program as the owner of the data. */
  readonly run: RunAs
}

export const SUPERUSER = 'sluice'

/**
 * Makes a new data folder where there is none, and clears away what a killed server left in one that is there.
 *
 * @throws {StartError} the folder holds something else, its password is lost, or initdb failed
 */
export async function prepareData(
  claim: Claim,
  binaries: PostgresBinaries,
  options: { durable: boolean; stopSignals: readonly StopSignal[] },
): Promise<PostgresData> {
  const owner = chooseOwner(claim.path)
  const passwordFile = `${claim.path}.password`
  if (!statSync(join(claim.path, 'PG_VERSION'), { throwIfNoEntry: false })) {
    return {
      run: await create(claim, owner, binaries, passwordFile, options.durable),
      password: read(passwordFile),
    }
  }
  await clearPostmaster(claim.path, options.stopSignals)
  return { run: runAs(owner, binaries.postgres, claim.path), password: read(passwordFile) }
}

function read(passwordFile: string): string {
  try {
    return readFileSync(passwordFile, 'utf8').trim()
  } catch (error) {
    throw new StartError(
      `The password of the embedded Postgres cannot be read: ${(error as Error).message}.`,
      { cause: error },
    )
  }
}

/** Works in a folder beside, which gets its name when it is complete: a half-made one is never taken for data. */
async function create(
  claim: Claim,
  owner: Owner | undefined,
  binaries: PostgresBinaries,
  passwordFile: string,
  durable: boolean,
): Promise<RunAs> {
  if (existsSync(claim.path) && readdirSync(claim.path).length > 0) {
    throw new StartError(
      `${claim.path} is there already and holds something that is not a Postgres database.`,
    )
  }
  const staging = `${claim.path}.new`
  const data = join(staging, 'data')
  const passwordCopy = join(staging, 'password')
  rmSync(staging, { recursive: true, force: true })
  mkdirSync(staging, { mode: 0o700 })
  const password = randomBytes(24).toString('hex')
  // On the disk before the data that it opens.
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600, flush: true })
  writeFileSync(passwordCopy, `${password}\n`, { mode: 0o600 })
  if (owner) for (const path of [staging, passwordCopy]) chownSync(path, owner.uid, owner.gid)

  const run = runAs(owner, binaries.initdb, staging)
  const lines: string[] = []
  const child = await startChild({
    name: 'initdb',
    ...run(binaries.initdb, [
      `--pgdata=${data}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordCopy}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // The server's own collation: the same on every system, and no update of the system's library breaks an index.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      ...(durable ? [] : ['--no-sync']),
    ]),
    cwd: staging,
    stopSignals: [['SIGTERM', 2_000]],
    onLine: (line) => lines.push(line),
  })
  claim.recordChild(child.pid)
  const outcome = await child.exited
  if (outcome !== 'exit status 0') {
    const reason = lines.findLast((line) => /error|FATAL/.test(line)) ?? outcome
    throw new StartError(`The embedded Postgres could not make its data folder: ${reason}.`)
  }
  renameSync(data, claim.path)
  rmSync(staging, { recursive: true, force: true })
  return run
}

/**
 * Ends a postmaster that still works in the folder, and removes the note of one that does not: where its process id went
 * to another process of the same user, Postgres would refuse to start.
 */
async function clearPostmaster(path: string, stopSignals: readonly StopSignal[]): Promise<void> {
  const file = join(path, 'postmaster.pid')
  let pid: number
  try {
    pid = Number.parseInt(readFileSync(file, 'utf8'), 10)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const identity = identify(pid)
  if (identity !== undefined && commandLine(pid).includes(path)) {
    await stopLeftover({ pid, identity }, 'Postgres', stopSignals)
  }
  rmSync(file, { force: true })
}
