import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from './failure.mjs'
import { runProgram } from './process.mjs'

/**
 * Whether `node_modules` is not what the lock file says. npm writes down what it installed, last of all, in
 * `node_modules/.package-lock.json`; so an interrupted installation and one without the development packages show too.
 * A linked `node_modules` is somebody's own arrangement, such as working trees that share one, and is left alone.
 */
export function needsInstall(root) {
  if (lstatSync(join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink()) return false
  const wanted = packagesOf(join(root, 'package-lock.json'))
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'))
  return Object.entries(wanted ?? {}).some(([path, entry]) => {
    if (path === '') return false
    const there = installed?.[path]
    return there === undefined ? !maybeAbsent(entry) : there.version !== entry.version
  })
}

/** What is optional may be left out, but not what is there for this very platform, such as Postgres. */
function maybeAbsent({ optional, os, cpu, libc }) {
  if (!optional) return false
  const isForUs = os?.includes(process.platform) && cpu?.includes(process.arch) && libc === undefined
  return !isForUs
}

function packagesOf(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')).packages
  } catch {
    return undefined
  }
}

/**
 * Installs what the lock file says, the compiler included. Install scripts are left out: the one that matters here, which
 * links Postgres's libraries, is done by the gateway itself, and no other has a say on this machine.
 */
export async function install(root) {
  console.error('Installing packages (only when the lock file has changed) …')
  const [command, ...before] = npm()
  const args = ['ci', '--include=dev', '--include=optional', '--ignore-scripts', '--no-audit', '--no-fund']
  const { status, text } = await runProgram(command, [...before, ...args], {
    cwd: root,
    env: npmEnvironment(),
  })
  if (status === 127) throw new Failure(`npm cannot be run (${text}).`)
  if (status !== 0)
    throw new Failure(`npm could not install the packages (exit status ${status}); it says why above.`)
}

/** The npm that started us, under our own Node; else the one on the PATH. */
function npm() {
  const own = process.env.npm_execpath
  return own?.endsWith('npm-cli.js') ? [process.execPath, own] : ['npm']
}

/** Settings that would make `npm ci` install elsewhere, or something else, or nothing. Registry, proxy and the like stay. */
const MISLEADING =
  /^npm_config_(global|location|prefix|local_prefix|dry_run|package_lock.*|lockfile_version|omit|include|production|dev|only|also|optional|workspaces?|include_workspace_root|install_.*|legacy_.*|global_style|before|force|os|cpu|libc|json|parseable)$/i

function npmEnvironment() {
  const env = { ...process.env }
  for (const name of Object.keys(env)) if (MISLEADING.test(name.replaceAll('-', '_'))) delete env[name]
  delete env.NODE_ENV
  return env
}
