import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from './failure.mjs'

const HEARTBEAT_MS = 2_000
/** A holder that has not been heard of for so long is gone, whatever runs under its process id now. */
const SILENCE_MS = 20_000

/** Runs the body while no other process runs one under the same file: two commands at once install and build one by one. */
export async function withLock(file, body) {
  let isTold = false
  while (!take(file)) {
    if (isStale(file)) {
      rmSync(file, { force: true })
      continue
    }
    if (!isTold) console.error('Waiting for another command that prepares this folder.')
    isTold = true
    await sleep(100)
  }
  const heartbeat = setInterval(() => {
    const now = new Date()
    try {
      utimesSync(file, now, now)
    } catch {
      // Somebody cleared the cache: no reason to stop in the middle of an installation.
    }
  }, HEARTBEAT_MS)
  try {
    return await body()
  } finally {
    clearInterval(heartbeat)
    rmSync(file, { force: true })
  }
}

function take(file) {
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw new Failure(`The folder ${dirname(file)} cannot be written to (${error.message}).`)
  }
}

function isStale(file) {
  try {
    if (Date.now() - statSync(file).mtimeMs > SILENCE_MS) return true
    const pid = Number(readFileSync(file, 'utf8'))
    // Empty for the instant between making and writing.
    if (!pid) return false
    process.kill(pid, 0)
    return false
  } catch (error) {
    // No such process. A file that is gone meanwhile is asked for again; another user's process is alive.
    return error.code === 'ESRCH'
  }
}
