import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { StartError } from '../start-error.ts'
import { isRunning } from './claim.ts'
import type { ProcessRef } from './claim.ts'

export interface ChildOptions {
  /** As it is called in messages to people. */
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  /** Unprivileged account to run as; only root may name one. */
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  readonly env?: NodeJS.ProcessEnv
  /** Signals to end it, mildest first, each with the milliseconds it is given; SIGKILL comes after the last. */
  readonly stopSignals: readonly StopSignal[]
  readonly onLine: (line: string) => void
}

export type StopSignal = readonly [signal: NodeJS.Signals, graceMs: number]

/** A server that runs as long as we do. */
export interface Child {
  readonly pid: number
  /** Resolves when it has ended, for whatever reason, with the reason in words. */
  readonly exited: Promise<string>
  stop(): Promise<void>
}

/**
 * Starts a server in a session of its own, so that a Ctrl-C in the terminal reaches us alone and we drain before it goes.
 * Should we be killed, a watching shell ends it.
 *
 * @throws {StartError} the program cannot be run
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { name, command, args, cwd, uid, gid, env, stopSignals, onLine } = options
  const child = spawn(command, args, {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Nothing of ours leaks in: PGDATA, PGOPTIONS and the like would change what the server does.
    env: { PATH: process.env['PATH'], LC_ALL: 'C', ...env },
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  })
  const exited = new Promise<string>((resolve) => {
    child.once('close', (code, signal) => resolve(signal ? `ended by ${signal}` : `exit status ${code}`))
  })
  try {
    await once(child, 'spawn')
  } catch (error) {
    throw new StartError(`${name} cannot be run: ${(error as Error).message}.`, { cause: error })
  }
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine)
  const pid = child.pid as number
  const watcher = watch(pid, stopSignals[0]?.[0] ?? 'SIGTERM')
  void exited.then(() => watcher.stdin?.end('over\n'))
  return {
    pid,
    exited,
    stop: () => end((signal) => child.kill(signal), exited, stopSignals),
  }
}

/**
 * A shell that waits for our end of its pipe. A line says that the child is gone; the end of the file without one says
 * that we are, by `kill -9` or a crash, and then it ends the child. Parent-death signals would do on Linux alone.
 */
function watch(pid: number, signal: NodeJS.Signals): ChildProcess {
  const script = 'read -r line || kill -s "$1" "$0"'
  const watcher = spawn('/bin/sh', ['-c', script, String(pid), signal.slice('SIG'.length)], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // Without a shell the child is still found by the next start; and a watcher that somebody killed is no reason to fall.
  watcher.on('error', () => {})
  watcher.stdin.on('error', () => {})
  watcher.unref()
  return watcher
}

/** Ends a server that a killed gateway left behind, and waits until it is gone. */
export async function stopLeftover(
  leftover: ProcessRef,
  name: string,
  stopSignals: readonly StopSignal[],
): Promise<void> {
  const send = (signal: NodeJS.Signals) => {
    try {
      process.kill(leftover.pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return
      throw new StartError(
        `${name} of an earlier run is still there as process ${leftover.pid} and belongs to another user; stop it first.`,
        { cause: error },
      )
    }
  }
  const gone = new AbortController()
  const exited = (async () => {
    while (isRunning(leftover) && !gone.signal.aborted) await sleep(10)
  })()
  try {
    await end(send, exited, stopSignals)
  } finally {
    gone.abort()
  }
}

async function end(
  send: (signal: NodeJS.Signals) => void,
  exited: Promise<unknown>,
  stopSignals: readonly StopSignal[],
): Promise<void> {
  for (const [signal, graceMs] of stopSignals) {
    send(signal)
    const late = new AbortController()
    const timeout = sleep(graceMs, 'late', { signal: late.signal }).catch(() => 'in time')
    const first = await Promise.race([exited.then(() => 'in time'), timeout])
    late.abort()
    if (first === 'in time') return
  }
  send('SIGKILL')
  await exited
}
