#!/usr/bin/env node
// Compiles the benchmarks and runs those named: `npm run bench -- senml`. Flags behind the names are passed
// on. Without a name, lists them.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const args = process.argv.slice(2)
const flagsAt = args.findIndex((arg) => arg.startsWith('--'))
const names = flagsAt === -1 ? args : args.slice(0, flagsAt)
const flags = flagsAt === -1 ? [] : args.slice(flagsAt)

function run(file, args) {
  const { status, error } = spawnSync(process.execPath, [file, ...args], { cwd: root, stdio: 'inherit' })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

const known = readdirSync(join(root, 'bench'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
const unknown = names.filter((name) => !known.includes(name))
if (names.length === 0 || unknown.length > 0) {
  for (const name of unknown) console.error(`no benchmark is called ${name}`)
  console.error(`benchmarks: ${known.join(', ')}`)
  process.exit(1)
}

const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
if (!existsSync(tsc)) {
  console.error('node_modules is missing: npm install')
  process.exit(1)
}
run(tsc, ['-p', 'tsconfig.bench.json'])
for (const name of names) run(join('dist-bench', 'bench', `${name}.js`), flags)
