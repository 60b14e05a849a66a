import { setImmediate } from 'node:timers/promises'
import type { Logger } from '../../platform/log.ts'
import type { Refusals } from '../refusals.ts'
import { Reason } from './codes.ts'
import type { Peer } from './peer.ts'

const EVERY_MS = 1_000
/** Looked at in one go; after a change of authorities each costs the checking of a signature. */
const AT_ONCE = 100

/**
 * Ends connections whose certificate has expired, or does not hold before the authorities and the list of revoked ones that
 * were read last: TLS asks in the handshake alone. One sweep for all, since a timer each would be memory for all.
 *
 * @param all looked at as it is, while connections come and go
 */
export function watchCertificates(
  all: Iterable<Peer>,
  { log, refusals }: { log: Logger; refusals: Refusals },
): { stop(): void } {
  let isSweeping = false

  async function sweep(): Promise<void> {
    let count = 0
    for (const connection of all) {
      const { findCertificateFlaw } = connection.info
      if (!findCertificateFlaw) continue
      const flaw = findCertificateFlaw()
      if (flaw !== undefined && !connection.isClosed) {
        const code = Reason.notAuthorized
        refusals.note('certificate_refused', { code, detail: flaw, ...connection.facts })
        connection.close(code, 'the certificate does not hold any more')
      }
      count += 1
      if (count % AT_ONCE === 0) await setImmediate()
    }
  }

  const timer = setInterval(() => {
    if (isSweeping) return
    isSweeping = true
    sweep()
      .catch((error: unknown) => log.error({ err: error }, 'certificates could not be looked at'))
      .finally(() => {
        isSweeping = false
      })
  }, EVERY_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
