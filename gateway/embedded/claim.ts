import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { StartError } from '../start-error.ts'
import { identify } from './process-identity.ts'

/** A process that may by now be gone, or another one under the same id. */
export interface ProcessRef {
  readonly pid: number
  readonly identity: string
}

interface Owner extends ProcessRef {
  readonly child?: ProcessRef | undefined
}

/** One part of the data folder (`postgres`, `nats`), ours alone until it is released. */
export interface Claim {
  /** The part's folder: absolute, links resolved. It need not exist yet. */
  readonly path: string
  /** The child that a killed gateway left behind, still running. */
  readonly leftover: ProcessRef | undefined
  /** Writes down which child works in the folder, so that the next start finds it should we be killed. */
  recordChild(pid: number): void
  release(): void
}

const OWNER_PATIENCE_MS = 2_000

/**
 * Makes the data folder and takes one part of it for this process. Who holds it stands in `<part>.owner` beside it.
 *
 * @throws {StartError} another process holds it; the folder cannot be made or written to
 */
export async function claimPart(dataDir: string, part: string): Promise<Claim> {
  try {
    makeFolder(resolve(dataDir))
    const folder = realpathSync(dataDir)
    return await claim(folder, part)
  } catch (error) {
    if (error instanceof StartError) throw error
    throw unusable(dataDir, error)
  }
}

/** Node's own recursive mkdir never returns where a parent exists and refuses with ENOENT, as /proc does. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST' && statSync(path).isDirectory()) return
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error
    makeFolder(dirname(path))
    makeFolder(path)
  }
}

/** The one sentence for a data folder that the system does not let us use. */
export function unusable(dataDir: string, error: unknown): StartError {
  const reason = error instanceof Error ? error.message : String(error)
  return new StartError(
    `The data folder ${dataDir} cannot be used (${reason}); choose another one with SLUICE_DATA_DIR.`,
    { cause: error },
  )
}

async function claim(folder: string, part: string): Promise<Claim> {
  const path = join(folder, part)
  const file = `${path}.owner`
  const self = { pid: process.pid, identity: identify(process.pid) ?? '' }
  // Who restarts a gateway often does it before the old one has drained.
  const patience = Date.now() + OWNER_PATIENCE_MS
  let leftover: ProcessRef | undefined
  while (!create(file, { ...self, child: leftover })) {
    const owner = await readOwner(file)
    if (owner && isRunning(owner)) {
      if (Date.now() < patience) {
        await sleep(50)
        continue
      }
      throw new StartError(
        `The data folder ${folder} is in use by process ${owner.pid}; stop that one first.`,
      )
    }
    // Moved aside before it goes: of two starts that both saw a dead owner, one gets the file and the other starts over.
    const aside = `${file}.${process.pid}`
    if (!move(file, aside)) continue
    const taken = await readOwner(aside)
    if (taken && isRunning(taken)) {
      move(aside, file)
      continue
    }
    rmSync(aside, { force: true })
    if (taken?.child && isRunning(taken.child)) leftover = taken.child
  }
  return {
    path,
    leftover,
    recordChild(pid) {
      const next = `${file}.${process.pid}`
      writeFileSync(next, JSON.stringify({ ...self, child: { pid, identity: identify(pid) ?? '' } }))
      renameSync(next, file)
    },
    release() {
      rmSync(file, { force: true })
    },
  }
}

/** Whether this very process, not another one under its id, still runs. */
export function isRunning(process: ProcessRef): boolean {
  return identify(process.pid) === process.identity
}

function create(file: string, owner: Owner): boolean {
  try {
    writeFileSync(file, JSON.stringify(owner), { flag: 'wx', mode: 0o644 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function move(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** The file is empty for an instant between its making and its writing, or for good when the machine went down there. */
async function readOwner(file: string): Promise<Owner | undefined> {
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as Owner
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      if (!(error instanceof SyntaxError)) throw error
    }
    await sleep(20)
  }
  return undefined
}
