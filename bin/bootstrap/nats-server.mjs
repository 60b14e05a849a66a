import {
  accessSync,
  chmodSync,
  constants,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { Failure } from './failure.mjs'
import { canUseDebian, fetchFromDebian } from './nats-debian.mjs'
import { fetchRelease } from './nats-release.mjs'
import { runProgram } from './process.mjs'

/** What Debian 12 has; JetStream of servers before it lacks what we use. */
const OLDEST = [2, 9, 10]

const WAYS_OUT =
  'Install nats-server 2.9.10 or newer, set SLUICE_NATS_URL to one that runs, or use `docker compose up`.'

/**
 * The nats-server that is at hand: the one named, one on the PATH, or the one fetched before.
 *
 * @returns its path; `undefined` when there is none
 * @throws {Failure} the one named cannot be used
 */
export async function findNatsServer(root, env) {
  const named = env.SLUICE_NATS_SERVER
  if (named) {
    const path = resolve(named)
    if (!isExecutable(path))
      throw new Failure(`SLUICE_NATS_SERVER is ${named}, which is not a program. ${WAYS_OUT}`)
    return path
  }
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'nats-server')
    if (folder !== '' && isExecutable(path) && (await isRecent(path))) return path
  }
  const cached = cachePath(root)
  return isExecutable(cached) ? cached : undefined
}

/**
 * Puts a nats-server into `.cache/`: the distribution's package on Debian and Ubuntu, else the project's release.
 *
 * @returns its path
 * @throws {Failure} it cannot be had
 */
export async function fetchNatsServer(root, env) {
  console.error('Fetching nats-server (once) …')
  const cache = join(root, '.cache')
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'fetch-'))
  const reasons = []
  try {
    // An address that somebody set is where he wants it from.
    const sources =
      env.SLUICE_NATS_DOWNLOAD_URL || !canUseDebian() ? [fetchRelease] : [fetchFromDebian, fetchRelease]
    for (const source of sources) {
      try {
        const binary = await source(work, env)
        chmodSync(binary, 0o755)
        if (!(await isRecent(binary))) throw new Failure('it is older than 2.9.10, or does not run here')
        renameSync(binary, cachePath(root))
        return cachePath(root)
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        reasons.push(error.message)
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  throw new Failure(`nats-server could not be fetched (${reasons.join('; ')}). ${WAYS_OUT}`)
}

function cachePath(root) {
  return join(root, '.cache', 'nats-server')
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

async function isRecent(path) {
  const { status, text } = await runProgram(path, ['--version'], { quiet: true })
  const version = /(\d+)\.(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number)
  if (status !== 0 || version === undefined) return false
  const difference = version.map((part, index) => part - OLDEST[index]).find((part) => part !== 0) ?? 0
  return difference >= 0
}
