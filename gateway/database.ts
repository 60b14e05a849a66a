import type { Attempts } from '../platform/attempts.ts'
import { createBackground } from '../platform/background.ts'
import type { Config } from '../platform/config.ts'
import { createDatabase } from '../platform/db/connect.ts'
import { createProbe } from '../platform/db/probe.ts'
import type { Lifecycle } from '../platform/lifecycle.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { createMailer } from '../platform/mail.ts'
import type { SecretBrake } from '../platform/secret-brake.ts'
import { createVault } from '../platform/vault.ts'
import { createLinks } from '../services/users/links.ts'
import { loadMasterKey } from './master-key.ts'
import { createServices } from './services.ts'
import { startUpkeep } from './upkeep.ts'

export interface DatabaseParts {
  readonly config: Config
  readonly databaseUrl: string
  readonly life: Lifecycle
  readonly log: Logger
  readonly metrics: Metrics
  readonly attempts: Attempts
  readonly secretBrake: SecretBrake
}

/** Reads of stored messages that wait for a connection. Beyond so many, waiting helps nobody. */
const MAX_WAITING_READS = 100

/** Those of one domain that wait for the ones before them. */
const MAX_WAITING_DOMAIN_READS = 50

/** The database, and the services over it. */
export async function openDatabase(parts: DatabaseParts) {
  const { config, databaseUrl, life, log, metrics, attempts, secretBrake } = parts
  const db = createDatabase({
    url: databaseUrl,
    maxConnections: 20,
    statementTimeoutMs: 30_000,
    log,
    shown: { metrics, as: 'main' },
  })
  life.onStop('database', () => db.destroy())
  const storedDb = createDatabase({
    url: databaseUrl,
    maxConnections: config.readConnections,
    statementTimeoutMs: config.readTimeoutS * 1_000,
    maxWaiting: MAX_WAITING_READS,
    log,
    shown: { metrics, as: 'messages' },
  })
  life.onStop('database of stored messages', () => storedDb.destroy())
  const probe = createProbe(databaseUrl)
  life.onStop('database probe', () => probe.stop())
  const mailer = createMailer({ url: config.smtpUrl, from: config.smtpFrom, log })
  life.onStop('mail', () => mailer.stop())
  const background = createBackground(log)
  life.onStop('background work', () => background.stop())
  const services = await createServices({
    db,
    storedDb,
    exports: {
      maxRows: config.exportMaxRows,
      // Half of the connections stay for pages, and half of the rest for other domains.
      maxAtOnce: Math.max(1, config.readConnections >> 1),
      maxDomainAtOnce: Math.max(1, config.readConnections >> 2),
      stallMs: config.exportStallS * 1_000,
    },
    reads: {
      maxAtOnce: Math.max(1, config.readConnections >> 2),
      maxWaiting: MAX_WAITING_DOMAIN_READS,
      timeoutMs: config.readTimeoutS * 1_000,
    },
    unread: { maxBytes: config.maxUnreadBytes, maxDomainBytes: config.maxUnreadBytes / 4 },
    vault: createVault(loadMasterKey(config.secretKey, config.dataDir)),
    lifetimes: { accessTokenS: config.accessTokenS, refreshTokenS: config.refreshTokenS },
    signingKeyS: config.signingKeyS,
    requireVerifiedEmail: config.requireVerifiedEmail,
    platformRetentionDays: config.messageRetentionDays,
    signup: { isOpen: config.openSignup, isAdminOpen: config.openAdminSignup },
    attempts,
    secretBrake,
    mailer,
    background,
    links: createLinks(config.publicUrl ?? localUrl(config), config.linkOrigins ?? []),
  })
  if (config.openAdminSignup)
    log.warn('SLUICE_OPEN_ADMIN_SIGNUP is on: whoever signs up may become superadmin')
  const upkeep = startUpkeep({ maintain: () => services.auth.maintain(), everyS: config.upkeepS, log })
  life.onStop('upkeep', () => upkeep.stop())
  return { db, databaseUrl, probe, services }
}

const localUrl = ({ host, httpPorts }: Config) =>
  `http://${host === '0.0.0.0' || host === '::' ? 'localhost' : host}:${httpPorts[0]}`
