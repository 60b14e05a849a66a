import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from './prepare.mjs'

const PREFIX = 'sluice-test-'

/** Runs vitest in a temporary folder that goes with it, and prints the counts. Returns the exit status. */
export async function runTests(natsServer, args) {
  sweep()
  const temporary = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
  // Servers that run as another user have their data in here.
  chmodSync(temporary, 0o711)
  const countFile = join(temporary, 'count.json')
  try {
    const status = await vitest(args, {
      ...environment(),
      TMPDIR: temporary,
      TEST_COUNT_FILE: countFile,
      SLUICE_NATS_SERVER: natsServer,
    })
    const { passed, failed } = readCount(countFile, status)
    console.log(`${passed} passed, ${failed} failed`)
    return status
  } finally {
    rmSync(temporary, { recursive: true, force: true, maxRetries: 10 })
  }
}

async function vitest(args, env) {
  const isSoak = args.includes('--soak')
  const child = spawn(
    process.execPath,
    [
      join(root, 'node_modules', 'vitest', 'vitest.mjs'),
      'run',
      '--reporter=default',
      `--reporter=${fileURLToPath(new URL('count-reporter.mjs', import.meta.url))}`,
      ...(isSoak ? ['--mode=soak'] : []),
      ...args.filter((arg) => arg !== '--soak'),
    ],
    { cwd: root, env, stdio: 'inherit' },
  )
  // Ctrl-C reaches vitest by itself, through the terminal; we stay to clear up behind it.
  const forward = (signal) => child.kill(signal)
  const stay = () => {}
  process.on('SIGTERM', forward).on('SIGHUP', forward).on('SIGINT', stay)
  const status = await new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)))
  process.off('SIGTERM', forward).off('SIGHUP', forward).off('SIGINT', stay)
  return status
}

/** Settings of a gateway that runs here mean nothing to the tests: they bring their own of everything. */
function environment() {
  const env = { ...process.env, NODE_ENV: 'test' }
  for (const name of Object.keys(env)) if (name.startsWith('SLUICE_')) delete env[name]
  return env
}

/** What failed without being a test (the set-up, a run that was cut off) counts as one failure: nobody reads `0 failed` then. */
function readCount(file, status) {
  let count = { passed: 0, failed: 0 }
  try {
    count = JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    // It ended before its first test.
  }
  return status !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count
}

/** Removes the folders of runs that were killed. */
function sweep() {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(name.startsWith(PREFIX) && name.slice(PREFIX.length).split('-')[0])
    if (!pid || isRunning(pid)) continue
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true })
    } catch {
      // Another user's run.
    }
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
