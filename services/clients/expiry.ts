import type { Logger } from '../../platform/log.ts'
import type { Clients } from './service.ts'

const INTERVAL_MS = 1_000

/** Ends old secrets within a second of their time. Any number of processes may run it. */
export function startSecretExpiry({
  clients,
  log,
}: {
  clients: Pick<Clients, 'expireOldSecrets'>
  log: Logger
}): {
  stop(): Promise<void>
} {
  let running: Promise<void> | undefined
  let isFailing = false

  async function run(): Promise<void> {
    try {
      await clients.expireOldSecrets()
      isFailing = false
    } catch (error) {
      // Said once an outage. Nobody gets in with such a secret meanwhile: its time is compared at each use.
      if (!isFailing) log.warn({ err: error }, 'connections of rotated secrets stay open')
      isFailing = true
    }
  }

  const timer = setInterval(() => {
    running ??= run().finally(() => (running = undefined))
  }, INTERVAL_MS)

  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}
