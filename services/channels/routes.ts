import { Router } from '@koa/router'
import { z } from 'zod'
import {
  metadata,
  optional,
  parse,
  readJson,
  readQuery,
  tags,
  text,
  uuid,
} from '../../platform/http/input.ts'
import { envelope, groupFilter, listingQuery, toListing } from '../../platform/http/listing.ts'
import type { RequestState } from '../auth/types.ts'
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

const ChannelId = z.object({ channel: uuid })

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

export function channelRoutes(parts: { channels: Channels; domains: Domains }): Router<RequestState> {
  const { channels, domains } = parts
  const router = new Router<RequestState>()

  router.post('/:domain/channels', async (ctx) => {
    const principal = await ctx.state.principal()
    const domainId = await domains.resolveId(ctx.params.domain ?? '')
    const body = await readJson(ctx, CreateChannel)
    const [channel] = await channels.create(principal, domainId, [body])
    if (!channel) throw new Error('one channel went in and none came out')
    ctx.status = 201
    ctx.set('Location', `/channels/${channel.id}`)
    ctx.body = present(channel)
  })

  router.post('/:domain/channels/bulk', async (ctx) => {
    const principal = await ctx.state.principal()
    const domainId = await domains.resolveId(ctx.params.domain ?? '')
    const body = await readJson(ctx, z.array(CreateChannel).min(1).max(MAX_BULK))
    const created = await channels.create(principal, domainId, body)
    ctx.body = { total: created.length, channels: created.map(present) }
  })

  for (const path of ['/channels', '/:domain/channels']) {
    router.get(path, async (ctx) => {
      const principal = await ctx.state.principal()
      const { domain } = ctx.params
      const query = readQuery(ctx, ListChannels)
      const listing = {
        ...toListing(query),
        domainId: domain === undefined ? undefined : await domains.resolveId(domain),
        group: groupFilter(ctx),
        clientId: query.client,
        connectionType: query.connection_type,
      }
      const page = await channels.list(principal, listing)
      ctx.body = envelope('channels', { total: page.total, items: page.items.map(present) }, listing)
    })
  }

  router.get('/:domain/channels/:channel', async (ctx) => {
    const principal = await ctx.state.principal()
    const domainId = await domains.resolveId(ctx.params.domain ?? '')
    const { channel: id } = parse(ChannelId, ctx.params)
    ctx.body = present(await channels.get(principal, domainId, id))
  })

  for (const verb of ['put', 'patch'] as const) {
    router[verb]('/:domain/channels/:channel', async (ctx) => {
      const principal = await ctx.state.principal()
      const domainId = await domains.resolveId(ctx.params.domain ?? '')
      const { channel: id } = parse(ChannelId, ctx.params)
      const change = await readJson(ctx, UpdateChannel)
      ctx.body = present(await channels.update(principal, domainId, id, change))
    })
  }

  return router
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
