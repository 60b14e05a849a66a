import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { metadata, optional, tags, text, uuid } from '../../platform/http/input.ts'
import { envelope, groupFilter, listingQuery, toListing } from '../../platform/http/listing.ts'
import type { Domains } from '../domains/service.ts'
import type { Channels } from './service.ts'
import type { Channel, NewChannel } from './types.ts'

const MAX_BULK = 1_000

const route = z
  .string()
  .regex(/^[a-zA-Z][a-zA-Z0-9_-]{0,35}$/, 'must be 1 to 36 letters, digits, - or _, a letter first')
  .refine((value) => !/__|--/.test(value), 'must not hold __ or --')
  .refine((value) => !uuid.safeParse(value).success, 'must not be in the form of a UUID')

const CreateChannel = z
  .object({
    id: optional(uuid),
    name: optional(text(1024)),
    description: optional(text(1024)),
    route: optional(route),
    tags: optional(tags),
    metadata: optional(metadata),
    status: optional(z.enum(['enabled', 'disabled'])),
    parent_group_id: optional(uuid),
  })
  .transform((body): NewChannel => ({
    id: body.id,
    name: body.name ?? '',
    description: body.description ?? '',
    route: body.route,
    tags: body.tags ?? [],
    metadata: body.metadata ?? {},
    status: body.status ?? 'enabled',
    parentGroupId: body.parent_group_id,
  }))

const UpdateChannel = z.object({
  name: optional(text(1024)),
  description: optional(text(1024)),
  metadata: optional(metadata),
})

const InDomain = z.object({ domain: z.string() })
const InAnyDomain = z.object({ domain: z.string().optional() })
const OneChannel = InDomain.extend({ channel: uuid })

const ListChannels = listingQuery(
  ['enabled', 'disabled', 'deleted'],
  ['name', 'created_at', 'updated_at'],
).extend({
  client: uuid.optional(),
  connection_type: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['publish', 'subscribe']))
    .optional(),
})

export function channelEndpoints({
  channels,
  domains,
}: {
  channels: Channels
  domains: Domains
}): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/:domain/channels',
      summary: 'Create a channel',
      access: 'user',
      params: InDomain,
      body: CreateChannel,
      status: 201,
      async handle({ ctx, principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const [channel] = await channels.create(principal, domainId, [body])
        if (!channel) throw new Error('one channel went in and none came out')
        ctx.set('Location', `/channels/${channel.id}`)
        return present(channel)
      },
    }),

    endpoint({
      method: 'post',
      path: '/:domain/channels/bulk',
      summary: 'Create up to 1,000 channels, all or none',
      access: 'user',
      params: InDomain,
      body: z.array(CreateChannel).min(1).max(MAX_BULK),
      status: 200,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const created = await channels.create(principal, domainId, body)
        return { total: created.length, channels: created.map(present) }
      },
    }),

    endpoint({
      method: 'get',
      path: ['/:domain/channels', '/channels'],
      summary: 'List the channels that one may read, of a domain or of all',
      access: 'user',
      params: InAnyDomain,
      query: ListChannels,
      status: 200,
      async handle({ ctx, principal, params, query }) {
        const { domain } = params
        const listing = {
          ...toListing(query),
          domainId: domain === undefined ? undefined : await domains.resolveId(domain),
          group: groupFilter(ctx),
          clientId: query.client,
          connectionType: query.connection_type,
        }
        return envelope('channels', await channels.list(principal, listing), listing, present)
      },
    }),

    endpoint({
      method: 'get',
      path: '/:domain/channels/:channel',
      summary: 'Read a channel',
      access: 'user',
      params: OneChannel,
      status: 200,
      async handle({ principal, params }) {
        const domainId = await domains.resolveId(params.domain)
        return present(await channels.get(principal, domainId, params.channel))
      },
    }),

    ...(['put', 'patch'] as const).map((method) =>
      endpoint({
        method,
        path: '/:domain/channels/:channel',
        summary: 'Change name, description or metadata; absent fields stay',
        access: 'user',
        params: OneChannel,
        body: UpdateChannel,
        status: 200,
        async handle({ principal, params, body }) {
          const domainId = await domains.resolveId(params.domain)
          return present(await channels.update(principal, domainId, params.channel, body))
        },
      }),
    ),
  ]
}

function present(channel: Channel) {
  return {
    id: channel.id,
    name: channel.name,
    description: channel.description,
    domain_id: channel.domainId,
    route: channel.route ?? undefined,
    tags: channel.tags,
    parent_group_id: channel.parentGroupId ?? undefined,
    parent_group_path: channel.parentGroupPath === '' ? undefined : channel.parentGroupPath,
    metadata: channel.metadata,
    status: channel.status,
    connection_types: channel.connectionTypes?.map((type) => (type === 'publish' ? 'Publish' : 'Subscribe')),
    created_by: channel.createdBy,
    created_at: channel.createdAt,
    updated_at: channel.updatedAt,
    updated_by: channel.updatedBy ?? undefined,
  }
}
