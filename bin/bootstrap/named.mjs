// Compiles what stands beside the product (benchmarks, fuzzers) and runs the programs named.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './prepare.mjs'

/**
 * Flags behind the names are passed on. Without a name, lists them.
 *
 * @param {string} folder each file in it is a program
 * @param {string} noun what one of them is called
 */
export function runNamed(folder, noun, args) {
  const flagsAt = args.findIndex((arg) => arg.startsWith('--'))
  const names = flagsAt === -1 ? args : args.slice(0, flagsAt)
  const flags = flagsAt === -1 ? [] : args.slice(flagsAt)
  const known = readdirSync(join(root, folder))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
  const unknown = names.filter((name) => !known.includes(name))
  if (names.length === 0 || unknown.length > 0) {
    for (const name of unknown) console.error(`no ${noun} is called ${name}`)
    console.error(`${noun}s: ${known.join(', ')}`)
    process.exit(1)
  }

  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  if (!existsSync(tsc)) {
    console.error('node_modules is missing: npm install')
    process.exit(1)
  }
  run(tsc, ['-p', 'tsconfig.bench.json'])
  for (const name of names) run(join('dist-bench', folder, `${name}.js`), flags)
}

function run(file, args) {
  const { status, error } = spawnSync(process.execPath, [file, ...args], { cwd: root, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}
