import type { Config, Role } from '../platform/config.ts'
import type { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
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
  const { dataDir } = config
  const own = { dataDir, log, onExit }
  const needsDatabase = config.roles.some((role) => WITH_DATABASE.includes(role))
  const starts = [
    needsDatabase && config.databaseUrl === undefined ? startPostgres(own) : undefined,
    config.natsUrl === undefined
      ? startNats({ ...own, binary: config.natsServer ?? 'nats-server' })
      : undefined,
  ] as const
  const [postgres, nats] = await Promise.allSettled(starts)
  // Registered before anything is thrown: when one fails, the other is stopped.
  if (postgres.status === 'fulfilled' && postgres.value) life.onStop('postgres', postgres.value.stop)
  if (nats.status === 'fulfilled' && nats.value) life.onStop('nats-server', nats.value.stop)
  if (postgres.status === 'rejected') throw postgres.reason
  if (nats.status === 'rejected') throw nats.reason
  const natsUrl = config.natsUrl ?? nats.value?.url
  if (natsUrl === undefined) throw new Error('neither a NATS of our own nor one by URL')
  return { databaseUrl: needsDatabase ? (config.databaseUrl ?? postgres.value?.url) : undefined, natsUrl }
}
