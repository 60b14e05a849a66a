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

/** With one channel, which the path names. */
const OneChannelBody = z.object({
  client_ids: ids,
  types: optional(z.array(type)),
  actions: optional(z.array(type)),
})

const ConnectBody = OneChannelBody.extend({ channel_ids: ids, subjects: ids, objects: ids })
type Body = z.output<typeof ConnectBody>

/** Ids that came without saying whether they are those of clients or of channels. */
const unsortedOf = ({ subjects, objects }: Body) => [...(subjects ?? []), ...(objects ?? [])]

/** Connecting and disconnecting in all the forms that clients know (contract 7, D5, D6). */
export function connectionEndpoints(parts: { channels: Channels; domains: DomainNames }): Endpoint[] {
  return [...wiringEndpoints('connect', 201, parts), ...wiringEndpoints('disconnect', 204, parts)]
}

function wiringEndpoints(
  wiring: 'connect' | 'disconnect',
  status: 201 | 204,
  { channels, domains }: { channels: Channels; domains: DomainNames },
): Endpoint[] {
  const common = { method: 'post', status } as const
  const verb = wiring === 'connect' ? 'Connect' : 'Disconnect'
  return [
    endpoint({
      ...common,
      access: 'user',
      path: [`/:domain/channels/${wiring}`, `/:domain/${wiring}`],
      summary: `${verb} every client with every channel`,
      params: InDomain,
      body: ConnectBody,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        // Ids of another domain are none of this one, which is for it to say.
        const unsorted = unsortedOf(body)
        const { channelIds, clientIds } =
          unsorted.length > 0
            ? await channels.identify(principal, unsorted)
            : { channelIds: body.channel_ids, clientIds: body.client_ids }
        await channels[wiring](principal, domainId, complete(channelIds, clientIds, body))
      },
    }),

    endpoint({
      ...common,
      access: 'user',
      path: `/:domain/channels/:id/${wiring}`,
      summary: `${verb} clients with one channel`,
      params: OneEntity,
      body: OneChannelBody,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        await channels[wiring](principal, domainId, complete([params.id], body.client_ids, body))
      },
    }),

    endpoint({
      ...common,
      access: 'user',
      path: `/${wiring}`,
      summary: `${verb} every client with every channel; the ids name the domain`,
      body: ConnectBody,
      async handle({ principal, body }) {
        const all = [...unsortedOf(body), ...(body.channel_ids ?? []), ...(body.client_ids ?? [])]
        const { domainId, channelIds, clientIds } = await channels.identify(principal, all)
        await channels[wiring](principal, domainId, complete(channelIds, clientIds, body))
      },
    }),
  ]
}

function complete(
  channels: readonly string[] | undefined,
  clients: readonly string[] | undefined,
  { types, actions }: z.output<typeof OneChannelBody>,
): Connections {
  const [channelIds, clientIds] = [[...new Set(channels)], [...new Set(clients)]]
  if (channelIds.length === 0) throw new InvalidInput('channel_ids: empty list provided')
  if (clientIds.length === 0) throw new InvalidInput('client_ids: empty list provided')
  if (channelIds.length * clientIds.length > MAX_PAIRS) {
    throw new InvalidInput(`channel_ids, client_ids: at most ${MAX_PAIRS} pairs at once`)
  }
  const wanted = [...new Set(types ?? actions)]
  // Absent or empty means both (contract D7).
  return { channelIds, clientIds, types: wanted.length === 0 ? ['publish', 'subscribe'] : wanted }
}
