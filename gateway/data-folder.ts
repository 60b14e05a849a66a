import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { StartError } from './start-error.ts'

/** Node's own recursive mkdir never returns where a parent exists and refuses with ENOENT, as /proc does. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST' && statSync(path).isDirectory()) return
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error
    makeFolder(dirname(path))
    makeFolder(path)
  }
}

/** The one sentence for a data folder that the system does not let us use. */
export function unusable(dataDir: string, error: unknown): StartError {
  const reason = error instanceof Error ? error.message : String(error)
  return new StartError(
    `The data folder ${dataDir} cannot be used (${reason}); choose another one with SLUICE_DATA_DIR.`,
    { cause: error },
  )
}
