import { readFileSync } from 'node:fs'

/** The version of this code. Its file stands one folder up from here in the sources, and two from the compiled code. */
export const VERSION = readVersion()

function readVersion(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as { version?: string }
      if (found.version !== undefined) return found.version
    } catch {
      // Not there: the other place has it.
    }
  }
  return 'unknown'
}
