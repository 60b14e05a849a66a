import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, unusable } from './data-folder.ts'
import { StartError } from './start-error.ts'

const KEY_BYTES = 32

/**
 * The key that secrets and tokens are kept under: the configured one, or one of the installation's own, made at the first
 * start and readable by its owner alone.
 *
 * @throws {StartError} the file cannot be made, or does not hold a key
 */
export function loadMasterKey(configured: Uint8Array | undefined, dataDir: string): Uint8Array {
  if (configured !== undefined) return configured
  const file = join(dataDir, 'secret.key')
  try {
    if (!existsSync(file)) makeKey(dataDir, file)
  } catch (error) {
    throw unusable(dataDir, error)
  }
  const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'hex')
  if (key.byteLength !== KEY_BYTES) {
    throw new StartError(
      `${file} does not hold a key of ${KEY_BYTES} bytes in hex; bring the right one back.`,
    )
  }
  return key
}

/**
 * The file appears whole and on the disk, or not at all: a key that is lost takes every secret with it. Of two processes that
 * start together one makes it, and both read that one.
 */
function makeKey(dataDir: string, file: string): void {
  makeFolder(dataDir)
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, `${randomBytes(KEY_BYTES).toString('hex')}\n`, { mode: 0o600, flush: true })
  try {
    linkSync(draft, file)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    rmSync(draft, { force: true })
  }
}
