import { spawn } from 'node:child_process'

/**
 * Runs a program to its end. What it prints goes to standard error, as everything before the banner does.
 *
 * @param options `quiet` keeps what it prints and returns it instead
 * @returns exit status (127 when it cannot be run at all, as a shell says it) and what was kept
 */
export async function runProgram(command, args, { cwd, env = process.env, quiet = false } = {}) {
  const output = quiet ? 'pipe' : process.stderr
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', output, output] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += chunk))
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ status: 127, text: error.message }))
    child.once('close', (code) => resolve({ status: code ?? 1, text }))
  })
}
