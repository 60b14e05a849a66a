import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { uuid } from '../../platform/identifiers.ts'
import type { ClientTelemetry, Telemetry } from './telemetry.ts'

const TelemetryBody = z.object({
  client_id: z.uuid(),
  domain_id: z.uuid(),
  subscriptions: z.number().int(),
  inbound_messages: z.number().int(),
  outbound_messages: z.number().int(),
  first_seen: z.iso.datetime().optional(),
  last_seen: z.iso.datetime().optional(),
})

/** A client's traffic in numbers (contract 10). */
export function telemetryEndpoints(telemetry: Telemetry): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/:domain/journal/client/:client/telemetry',
      summary: 'How many messages a client has sent and got, when, and its subscriptions',
      access: 'user',
      params: z.object({ domain: z.string(), client: uuid }),
      status: 200,
      response: TelemetryBody,
      handle: async ({ principal, params }) =>
        present(await telemetry.ofClient(principal, params.domain, params.client)),
    }),
  ]
}

function present(telemetry: ClientTelemetry): z.input<typeof TelemetryBody> {
  return {
    client_id: telemetry.clientId,
    domain_id: telemetry.domainId,
    subscriptions: telemetry.subscriptions,
    inbound_messages: telemetry.inboundMessages,
    outbound_messages: telemetry.outboundMessages,
    first_seen: telemetry.firstSeen?.toISOString(),
    last_seen: telemetry.lastSeen?.toISOString(),
  }
}
