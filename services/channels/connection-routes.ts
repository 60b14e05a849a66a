import { z } from 'zod'
import { InvalidInput } from '../../platform/errors.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { optional } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import type { DomainNames } from '../entities/routes.ts'
import { InDomain, OneEntity } from '../entities/wire.ts'
import type { Channels } from './service.ts'
import type { Connections, ConnectionType } from './types.ts'

const MAX_IDS = 1_000
/** Every channel with every client: what one transaction takes in well under a second. */
const MAX_PAIRS = 10_000

/** Words for the types of connection, those of older servers among them (contract 7). */
const TYPES: Readonly<Record<string, ConnectionType>> = {
  publish: 'publish',
  subscribe: 'subscribe',
  m_write: 'publish',
  m_read: 'subscribe',
}

const type = z.string().transform((word, ctx): ConnectionType => {
  const known = TYPES[word.toLowerCase()]
  if (known) return known
  ctx.addIssue({ code: 'custom', message: 'must be publish or subscribe' })
  return z.NEVER
})

const ids = optional(z.array(uuid).max(MAX_IDS))

const ConnectBody = z
  .object({
    channel_ids: ids,
    client_ids: ids,
    subjects: ids,
    objects: ids,
    types: optional(z.array(type)),
    actions: optional(z.array(type)),
  })
  .transform((body) => {
    const types = [...new Set(body.types ?? body.actions ?? [])]
    return {
      channelIds: [...new Set(body.channel_ids)],
      clientIds: [...new Set(body.client_ids)],
      unsorted: [...new Set([...(body.subjects ?? []), ...(body.objects ?? [])])],
      // Absent or empty means both (contract D7).
      types: types.length === 0 ? (['publish', 'subscribe'] as const) : types,
    }
  })

type Body = z.output<typeof ConnectBody>

/** Connecting and disconnecting in all the forms that clients know (contract 7, D5, D6). */
export function connectionEndpoints(parts: { channels: Channels; domains: DomainNames }): Endpoint[] {
  return [...wiringEndpoints('connect', 201, parts), ...wiringEndpoints('disconnect', 204, parts)]
}

function wiringEndpoints(
  wiring: 'connect' | 'disconnect',
  status: 201 | 204,
  { channels, domains }: { channels: Channels; domains: DomainNames },
): Endpoint[] {
  const common = { method: 'post', body: ConnectBody, status } as const
  const verb = wiring === 'connect' ? 'Connect' : 'Disconnect'
  return [
    endpoint({
      ...common,
      access: 'user',
      path: [`/:domain/channels/${wiring}`, `/:domain/${wiring}`],
      summary: `${verb} every client with every channel`,
      params: InDomain,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const sorted =
          body.unsorted.length > 0 ? await channels.identify(principal, body.unsorted) : { ...body, domainId }
        if (sorted.domainId !== domainId) throw new InvalidInput('the ids are of another domain')
        await channels[wiring](principal, domainId, complete(body, sorted))
      },
    }),

    endpoint({
      ...common,
      access: 'user',
      path: `/:domain/channels/:id/${wiring}`,
      summary: `${verb} clients with one channel`,
      params: OneEntity,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const connections = complete(body, { ...body, channelIds: [params.id] })
        await channels[wiring](principal, domainId, connections)
      },
    }),

    endpoint({
      ...common,
      access: 'user',
      path: `/${wiring}`,
      summary: `${verb} every client with every channel; the ids name the domain`,
      async handle({ principal, body }) {
        const all = [...body.unsorted, ...body.channelIds, ...body.clientIds]
        const sorted = await channels.identify(principal, all)
        await channels[wiring](principal, sorted.domainId, complete(body, sorted))
      },
    }),
  ]
}

function complete(body: Body, sorted: Pick<Connections, 'channelIds' | 'clientIds'>): Connections {
  if (sorted.channelIds.length === 0) throw new InvalidInput('channel_ids: empty list provided')
  if (sorted.clientIds.length === 0) throw new InvalidInput('client_ids: empty list provided')
  if (sorted.channelIds.length * sorted.clientIds.length > MAX_PAIRS) {
    throw new InvalidInput(`channel_ids, client_ids: at most ${MAX_PAIRS} pairs at once`)
  }
  return { channelIds: sorted.channelIds, clientIds: sorted.clientIds, types: body.types }
}
