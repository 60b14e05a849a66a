import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { metadata, optional, text, uuid } from '../../platform/http/input.ts'
import { listEndpoints } from '../entities/list-routes.ts'
import { entityEndpoints, parentEndpoints } from '../entities/routes.ts'
import type { DomainNames } from '../entities/routes.ts'
import {
  connectionType,
  EntityQuery,
  groupedShape,
  InDomain,
  newGrouped,
  OneEntity,
  presentGrouped,
  readNewGrouped,
} from '../entities/wire.ts'
import type { Channels } from './service.ts'
import type { Channel, NewChannel } from './types.ts'

const MAX_BULK = 1_000

const route = z
  .string()
  .regex(/^[a-zA-Z][a-zA-Z0-9_-]{0,35}$/, 'must be 1 to 36 letters, digits, - or _, a letter first')
  .refine((value) => !/__|--/.test(value), 'must not hold __ or --')
  .refine((value) => !uuid.safeParse(value).success, 'must not be in the form of a UUID')

const CreateChannel = z
  .object({ ...newGrouped, description: optional(text(1024)), route: optional(route) })
  .transform((body): NewChannel => ({
    ...readNewGrouped(body),
    description: body.description ?? '',
    route: body.route,
  }))

const UpdateChannel = z.object({
  name: optional(text(1024)),
  description: optional(text(1024)),
  metadata: optional(metadata),
})

const ListChannels = EntityQuery.extend({
  /** Empty for those in no group, which `groupFilter` reads. */
  group: uuid.optional(),
  client: uuid.optional(),
  connection_type: connectionType.optional(),
})

const ChannelBody = z.object({
  ...groupedShape,
  description: z.string(),
  route: z.string().optional(),
  created_by: z.uuid(),
})

export function channelEndpoints(parts: { channels: Channels; domains: DomainNames }): Endpoint[] {
  const { channels, domains } = parts
  return [
    endpoint({
      method: 'post',
      path: '/:domain/channels',
      summary: 'Create a channel',
      access: 'user',
      params: InDomain,
      body: CreateChannel,
      status: 201,
      response: ChannelBody,
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
      response: z.object({ total: z.int(), channels: z.array(ChannelBody) }),
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const created = await channels.create(principal, domainId, body)
        return { total: created.length, channels: created.map(present) }
      },
    }),

    ...listEndpoints({
      type: 'channel',
      domains,
      query: ListChannels,
      read: ({ client, connection_type: type }) => ({
        connected: client === undefined ? undefined : { to: client, type },
      }),
      list: (principal, listing) => channels.list(principal, listing),
      arrange: (page) => page.map(present),
      response: ChannelBody,
    }),

    ...entityEndpoints<Channel>({
      type: 'channel',
      entities: channels,
      domains,
      present,
      response: ChannelBody,
    }),
    ...parentEndpoints({ type: 'channel', entities: channels, domains }),

    ...(['put', 'patch'] as const).map((method) =>
      endpoint({
        method,
        path: '/:domain/channels/:id',
        summary: 'Change name, description or metadata; absent fields stay',
        access: 'user',
        params: OneEntity,
        body: UpdateChannel,
        status: 200,
        response: ChannelBody,
        async handle({ principal, params, body }) {
          const domainId = await domains.resolveId(params.domain)
          return present(await channels.update(principal, domainId, params.id, body))
        },
      }),
    ),
  ]
}

function present(channel: Channel) {
  return {
    ...presentGrouped('channel', channel),
    description: channel.description,
    route: channel.route ?? undefined,
    created_by: channel.createdBy,
  }
}
