import type { Db } from '../../platform/db/connect.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import type { Domains } from '../domains/service.ts'
import { findTraffic, saveTraffic } from './traffic.ts'
import type { TrafficReport } from './traffic.ts'

/** What is known of a client's traffic. */
export interface ClientTelemetry {
  readonly clientId: string
  readonly domainId: string
  /** Messages of the client that have come as far as the writer. */
  readonly inboundMessages: number
  /** Arrival of the first and the last of them. */
  readonly firstSeen: Date | undefined
  readonly lastSeen: Date | undefined
  /** Messages handed to its connections, but for those of the last seconds. */
  readonly outboundMessages: number
  /** What its connections are subscribed to, as of a few seconds ago. */
  readonly subscriptions: number
}

export type Telemetry = ReturnType<typeof createTelemetry>

/** A client's messages: those that came, which the writer counts while it stores them, and those that went, which adapters report. */
export function createTelemetry({ db, policy, domains }: { db: Db; policy: Policy; domains: Domains }) {
  return {
    /**
     * @param domain id or route
     * @throws {Forbidden} @throws {NotFound} like reading the client
     */
    async ofClient(principal: Principal, domain: string, clientId: string): Promise<ClientTelemetry> {
      const domainId = await domains.resolveId(domain)
      await policy.require(principal, 'client.view', clientId, domainId)
      const [row, traffic] = await Promise.all([
        db.selectFrom('arrivals').selectAll().where('publisher', '=', clientId).executeTakeFirst(),
        findTraffic(db, clientId),
      ])
      return {
        clientId,
        domainId,
        inboundMessages: row?.messages ?? 0,
        firstSeen: row?.first_at,
        lastSeen: row?.last_at,
        outboundMessages: traffic.delivered,
        subscriptions: traffic.subscriptions,
      }
    },

    /** Takes what the adapters of a process have counted. */
    report: (report: TrafficReport) => saveTraffic(db, report),
  }
}
