import type { Db } from '../../platform/db/connect.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import type { Domains } from '../domains/service.ts'

/** What is known of a client's traffic. */
export interface ClientTelemetry {
  readonly clientId: string
  readonly domainId: string
  /** Messages of the client that have come as far as the writer. */
  readonly inboundMessages: number
  /** Arrival of the first and the last of them. */
  readonly firstSeen: Date | undefined
  readonly lastSeen: Date | undefined
}

export type Telemetry = ReturnType<typeof createTelemetry>

/** Counts of messages by client, which the writer keeps while it stores them. */
export function createTelemetry({ db, policy, domains }: { db: Db; policy: Policy; domains: Domains }) {
  return {
    /**
     * @param domain id or route
     * @throws {Forbidden} @throws {NotFound} like reading the client
     */
    async ofClient(principal: Principal, domain: string, clientId: string): Promise<ClientTelemetry> {
      const domainId = await domains.resolveId(domain)
      await policy.require(principal, 'client.view', clientId, domainId)
      const row = await db
        .selectFrom('arrivals')
        .selectAll()
        .where('publisher', '=', clientId)
        .executeTakeFirst()
      return {
        clientId,
        domainId,
        inboundMessages: row?.messages ?? 0,
        firstSeen: row?.first_at,
        lastSeen: row?.last_at,
      }
    },
  }
}
