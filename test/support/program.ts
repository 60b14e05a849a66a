import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface ProgramResult {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Program {
  readonly child: ChildProcess
  /** What it has printed so far. */
  readonly output: { stdout: string; stderr: string }
  readonly ended: Promise<ProgramResult>
}

export interface ProgramOptions {
  readonly cwd?: string
  /** On top of ours, of which no `SLUICE_` variable is passed on. */
  readonly env?: NodeJS.ProcessEnv
}

/** Starts a program as a person would, from the project's folder unless told otherwise. */
export function startProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Program {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(SLUICE_|VITEST|npm_)/.test(name))
  const child = spawn(command, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()))
  const ended = new Promise<ProgramResult>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, ...output }))
  })
  return { child, output, ended }
}

/** Runs a program to its end. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  return startProgram(command, args, options).ended
}
