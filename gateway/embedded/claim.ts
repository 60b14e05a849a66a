import { randomBytes, randomInt } from 'node:crypto'
import { readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeFolder, unusable } from '../data-folder.ts'
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
 * Makes the data folder and takes one part of it for this process. Who holds it stands in `<part>.owner.<…>` beside it.
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

/**
 * Everybody puts up a file of his own, complete when it appears, and then looks for others: of two who come at once at
 * least one sees the other and withdraws. Files are only removed by their owner, or by the one who won over the dead, so no
 * take-over can hit the wrong one.
 */
async function claim(folder: string, part: string): Promise<Claim> {
  const prefix = `${part}.owner.`
  const self = { pid: process.pid, identity: identify(process.pid) ?? '' }
  const file = join(folder, `${prefix}${process.pid}-${randomBytes(4).toString('hex')}`)
  const release = () => rmSync(file, { force: true })
  // Who restarts a gateway often does it before the old one has drained.
  const patience = Date.now() + OWNER_PATIENCE_MS
  for (;;) {
    write(file, self)
    const others = readOwners(folder, prefix).filter((other) => other.file !== file)
    const holder = others.find(({ owner }) => isRunning(owner))
    if (holder === undefined) {
      const leftover = others.map(({ owner }) => owner.child).find((child) => child && isRunning(child))
      // In our own file before the old one goes: we may be killed too before the child has ended.
      write(file, { ...self, child: leftover })
      for (const other of others) rmSync(other.file, { force: true })
      return {
        path: join(folder, part),
        leftover,
        recordChild: (pid) => write(file, { ...self, child: { pid, identity: identify(pid) ?? '' } }),
        release,
      }
    }
    release()
    if (Date.now() > patience) {
      throw new StartError(
        `The data folder ${folder} is in use by process ${holder.owner.pid}; stop that one first.`,
      )
    }
    await sleep(randomInt(20, 80))
  }
}

/** Whether this very process, not another one under its id, still runs. */
export function isRunning(process: ProcessRef): boolean {
  return identify(process.pid) === process.identity
}

function write(file: string, owner: Owner): void {
  const draft = join(dirname(file), `.${basename(file)}`)
  writeFileSync(draft, JSON.stringify(owner))
  renameSync(draft, file)
}

function readOwners(folder: string, prefix: string): { file: string; owner: Owner }[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .flatMap((name) => {
      const file = join(folder, name)
      const owner = readOwner(file)
      return owner ? [{ file, owner }] : []
    })
}

/** What cannot be read is gone, was never finished, or was cut off with the machine: its process is not there either. */
function readOwner(file: string): Owner | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    return JSON.parse(text) as Owner
  } catch {
    return { pid: 0, identity: 'none' }
  }
}
