import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { StartError } from '../start-error.ts'

/** User and group that own files and run programs. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

export interface Command {
  readonly command: string
  readonly args: readonly string[]
  readonly uid?: number
  readonly gid?: number
}

/** Turns a command into one that runs as somebody. */
export type RunAs = (command: string, args: readonly string[]) => Command

/**
 * Who shall own the data and run the server. Postgres refuses root, so root picks the owner of the data that is there, or
 * else `nobody`: no account is made for us.
 *
 * @returns `undefined` for anybody but root: whoever we are
 * @throws {StartError} there is no user `nobody`
 */
export function chooseOwner(data: string): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined
  const there = statSync(data, { throwIfNoEntry: false })
  if (there && there.uid !== 0) return { uid: there.uid, gid: there.gid }
  try {
    const id = (kind: '-u' | '-g') =>
      Number(execFileSync('id', [kind, 'nobody'], { encoding: 'utf8', stdio: 'pipe' }))
    return { uid: id('-u'), gid: id('-g') }
  } catch (error) {
    throw new StartError(
      'Postgres must not run as root and there is no user `nobody`; start Sluice as another user or set SLUICE_DATABASE_URL.',
      { cause: error },
    )
  }
}

/**
 * How to run a program as the owner. Where only root can enter a folder on the way (a clone under `/root`, a `mktemp -d`),
 * the program is given the one capability of finding its way there, by setpriv(1): opening up folders that are not ours
 * is nothing we do.
 *
 * @param program must be executable
 * @param folder must be writable; belongs to the owner
 * @throws {StartError} there is no way to the program or to the folder
 */
export function runAs(owner: Owner | undefined, program: string, folder: string): RunAs {
  if (owner === undefined) return (command, args) => ({ command, args })
  const plain: RunAs = (command, args) => ({ command, args, ...owner })
  if (canReach(plain, program, folder)) return plain
  // CAP_DAC_OVERRIDE lets it write everywhere too; it is for containers, where root has no other of the two.
  for (const [capability, bit] of [
    ['dac_read_search', 2n],
    ['dac_override', 1n],
  ] as const) {
    const capable = withCapability(owner, capability)
    if (hasCapability(bit) && canReach(capable, program, folder)) return capable
  }
  throw new StartError(
    `Postgres must not run as root, and user ${owner.uid}, which it would run as, cannot reach ${program} or ${folder}; ` +
      'start Sluice as another user, move it to a folder that everybody can enter, or set SLUICE_DATABASE_URL.',
  )
}

function withCapability(owner: Owner, capability: string): RunAs {
  return (command, args) => ({
    command: 'setpriv',
    args: [
      `--reuid=${owner.uid}`,
      `--regid=${owner.gid}`,
      '--clear-groups',
      '--no-new-privs',
      `--inh-caps=-all,+${capability}`,
      // access(2) ignores the capabilities of a process that gave up root, unless told that they were meant to stay.
      '--securebits=+no_setuid_fixup',
      // Ambient, because the set must outlive the execution of a program that knows nothing of capabilities.
      `--ambient-caps=-all,+${capability}`,
      command,
      ...args,
    ],
  })
}

function hasCapability(bit: bigint): boolean {
  try {
    const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
    return ((BigInt(`0x${mask}`) >> bit) & 1n) === 1n
  } catch {
    return false
  }
}

/** Asks the kernel, not the modes: access lists, mounts and security modules have their say too. */
function canReach(run: RunAs, program: string, folder: string): boolean {
  const { command, args, ...account } = run('/bin/sh', [
    '-c',
    'test -x "$0" && test -w "$1"',
    program,
    folder,
  ])
  return spawnSync(command, args, { ...account, cwd: '/', stdio: 'ignore' }).status === 0
}
