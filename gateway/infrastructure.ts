import type { Config, Role } from '../platform/config.ts'
import type { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import { watchDiskSpace } from './embedded/disk-space.ts'
import { startNats } from './embedded/nats.ts'
import { startPostgres } from './embedded/postgres.ts'

/** Roles that keep their things in Postgres; the others ask them over NATS. */
const WITH_DATABASE: readonly Role[] = ['api', 'writer', 'reader']

export interface Infrastructure {
  /** `undefined` in a process of adapters alone. */
  readonly databaseUrl: string | undefined
  readonly natsUrl: string
}

/**
 * Postgres and NATS: those that the configuration names, else servers of our own as child processes.
 *
 * @param onExit a server of our own has ended without being asked to
 * @throws {StartError}
 */
export async function startInfrastructure(
  config: Config,
  life: Lifecycle,
  log: Logger,
  onExit: (reason: string) => void,
): Promise<Infrastructure> {
  const { dataDir, databaseUrl, natsUrl } = config
  const own = { dataDir, log, onExit }
  const needsDatabase = config.roles.some((role) => WITH_DATABASE.includes(role))

  async function ownPostgres(): Promise<string> {
    const server = await startPostgres(own)
    life.onStop('postgres', () => server.stop())
    return server.url
  }

  async function ownNats(): Promise<string> {
    const server = await startNats({ ...own, binary: config.natsServer ?? 'nats-server' })
    life.onStop('nats-server', () => server.stop())
    return server.url
  }

  if (natsUrl === undefined || (needsDatabase && databaseUrl === undefined)) {
    const space = await watchDiskSpace({ folder: dataDir, log })
    life.onStop('disk space', () => space.stop())
  }
  // Both to their end, also when one fails: only what has started can be stopped.
  const [postgres, nats] = await Promise.allSettled([
    needsDatabase && databaseUrl === undefined ? ownPostgres() : Promise.resolve(databaseUrl),
    natsUrl === undefined ? ownNats() : Promise.resolve(natsUrl),
  ])
  if (postgres.status === 'rejected') throw postgres.reason
  if (nats.status === 'rejected') throw nats.reason
  return { databaseUrl: needsDatabase ? postgres.value : undefined, natsUrl: nats.value }
}
