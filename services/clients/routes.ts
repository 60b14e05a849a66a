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
import type { Clients } from './service.ts'
import type { Client, CreatedClient, NewClient } from './types.ts'

const MAX_BULK = 1_000

const CreateClient = z
  .object({
    id: optional(uuid),
    name: optional(text(1024)),
    tags: optional(tags),
    credentials: optional(
      z.object({ identity: optional(text(1024)), secret: optional(z.string().max(1024)) }),
    ),
    metadata: optional(metadata),
    private_metadata: optional(metadata),
    status: optional(z.enum(['enabled', 'disabled'])),
    parent_group_id: optional(uuid),
  })
  .transform((body): NewClient => ({
    id: body.id,
    name: body.name ?? '',
    tags: body.tags ?? [],
    identity: body.credentials?.identity ?? '',
    secret: body.credentials?.secret,
    metadata: body.metadata ?? {},
    privateMetadata: body.private_metadata ?? {},
    status: body.status ?? 'enabled',
    parentGroupId: body.parent_group_id,
  }))

const ClientId = z.object({ client: uuid })

const ListClients = listingQuery(
  ['enabled', 'disabled', 'deleted'],
  ['name', 'created_at', 'updated_at'],
).extend({
  channel: uuid.optional(),
  connection_type: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['publish', 'subscribe']))
    .optional(),
})

export function clientRoutes({
  clients,
  domains,
}: {
  clients: Clients
  domains: Domains
}): Router<RequestState> {
  const router = new Router<RequestState>()

  router.post('/:domain/clients', async (ctx) => {
    const principal = await ctx.state.principal()
    const domainId = await domains.resolveId(ctx.params.domain ?? '')
    const body = await readJson(ctx, CreateClient)
    const [created] = await clients.create(principal, domainId, [body])
    if (!created) throw new Error('one client went in and none came out')
    ctx.status = 201
    ctx.set('Location', `/clients/${created.client.id}`)
    ctx.body = presentCreated(created)
  })

  router.post('/:domain/clients/bulk', async (ctx) => {
    const principal = await ctx.state.principal()
    const domainId = await domains.resolveId(ctx.params.domain ?? '')
    const body = await readJson(ctx, z.array(CreateClient).min(1).max(MAX_BULK))
    const created = await clients.create(principal, domainId, body)
    ctx.body = { total: created.length, clients: created.map(presentCreated) }
  })

  for (const path of ['/clients', '/:domain/clients']) {
    router.get(path, async (ctx) => {
      const principal = await ctx.state.principal()
      const { domain } = ctx.params
      const query = readQuery(ctx, ListClients)
      const listing = {
        ...toListing(query),
        domainId: domain === undefined ? undefined : await domains.resolveId(domain),
        group: groupFilter(ctx),
        channelId: query.channel,
        connectionType: query.connection_type,
      }
      const page = await clients.list(principal, listing)
      ctx.body = envelope('clients', { total: page.total, items: page.items.map((c) => present(c)) }, listing)
    })
  }

  router.get('/:domain/clients/:client', async (ctx) => {
    const principal = await ctx.state.principal()
    const domainId = await domains.resolveId(ctx.params.domain ?? '')
    const { client: id } = parse(ClientId, ctx.params)
    ctx.body = present(await clients.get(principal, domainId, id))
  })

  return router
}

const presentCreated = ({ client, secret }: CreatedClient) => present(client, secret)

/** @param secret empty everywhere but in the answer to creation and rotation (contract D29) */
function present(client: Client, secret = '') {
  return {
    id: client.id,
    name: client.name,
    domain_id: client.domainId,
    tags: client.tags,
    parent_group_id: client.parentGroupId ?? undefined,
    parent_group_path: client.parentGroupPath === '' ? undefined : client.parentGroupPath,
    credentials: { identity: client.identity, secret },
    identity: client.identity,
    metadata: client.metadata,
    private_metadata: client.privateMetadata,
    status: client.status,
    owner: client.createdBy,
    connection_types: client.connectionTypes?.map((type) => (type === 'publish' ? 'Publish' : 'Subscribe')),
    created_at: client.createdAt,
    updated_at: client.updatedAt,
    updated_by: client.updatedBy ?? undefined,
  }
}
