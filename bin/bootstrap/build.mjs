import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from './failure.mjs'
import { runProgram } from './process.mjs'

const STAMP = 'dist/.built-from'
const FILES = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json']

/** Whether `dist/` was not built from the sources as they are. */
export function needsBuild(root) {
  try {
    return readFileSync(join(root, STAMP), 'utf8') !== fingerprint(root)
  } catch {
    return true
  }
}

/** Compiles to `dist/`. */
export async function build(root) {
  console.error('Building …')
  // Taken before, so that a source that is saved meanwhile is built next time.
  const before = fingerprint(root)
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status } = await runProgram(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root })
  if (status !== 0)
    throw new Failure(`The build failed (exit status ${status}); the compiler says why above.`)
  mkdirSync(join(root, 'dist'), { recursive: true })
  writeFileSync(join(root, STAMP), before)
}

/** Names, sizes and times of the sources: files that are gone, and times that went back, show too. */
function fingerprint(root) {
  const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.build.json'), 'utf8'))
  const hash = createHash('sha256')
  const add = (path) => {
    const { size, mtimeMs } = statSync(join(root, path))
    hash.update(`${path}\0${size}\0${mtimeMs}\n`)
  }
  FILES.forEach(add)
  const sources = include.flatMap((folder) =>
    listFolder(join(root, folder)).map((entry) => join(folder, entry)),
  )
  const order = new Intl.Collator('en').compare
  sources
    .filter((path) => path.endsWith('.ts'))
    .sort(order)
    .forEach(add)
  return hash.digest('hex')
}

function listFolder(folder) {
  try {
    return readdirSync(folder, { recursive: true })
  } catch (error) {
    if (error.code === 'ENOENT') return []
    throw error
  }
}
