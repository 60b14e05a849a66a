import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { metadata, optional, tags, text, uuid } from '../../platform/http/input.ts'
import { envelope, groupFilter, listingQuery, toListing } from '../../platform/http/listing.ts'
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

const InDomain = z.object({ domain: z.string() })
const InAnyDomain = z.object({ domain: z.string().optional() })
const OneClient = InDomain.extend({ client: uuid })

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

export function clientEndpoints({ clients, domains }: { clients: Clients; domains: Domains }): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/:domain/clients',
      summary: 'Create a client; its secret is shown in this answer alone',
      access: 'user',
      params: InDomain,
      body: CreateClient,
      status: 201,
      async handle({ ctx, principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const [created] = await clients.create(principal, domainId, [body])
        if (!created) throw new Error('one client went in and none came out')
        ctx.set('Location', `/clients/${created.client.id}`)
        return presentCreated(created)
      },
    }),

    endpoint({
      method: 'post',
      path: '/:domain/clients/bulk',
      summary: 'Create up to 1,000 clients, all or none',
      access: 'user',
      params: InDomain,
      body: z.array(CreateClient).min(1).max(MAX_BULK),
      status: 200,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const created = await clients.create(principal, domainId, body)
        return { total: created.length, clients: created.map(presentCreated) }
      },
    }),

    endpoint({
      method: 'get',
      path: ['/:domain/clients', '/clients'],
      summary: 'List the clients that one may read, of a domain or of all',
      access: 'user',
      params: InAnyDomain,
      query: ListClients,
      status: 200,
      async handle({ ctx, principal, params, query }) {
        const { domain } = params
        const listing = {
          ...toListing(query),
          domainId: domain === undefined ? undefined : await domains.resolveId(domain),
          group: groupFilter(ctx),
          channelId: query.channel,
          connectionType: query.connection_type,
        }
        return envelope('clients', await clients.list(principal, listing), listing, (client) =>
          present(client),
        )
      },
    }),

    endpoint({
      method: 'get',
      path: '/:domain/clients/:client',
      summary: 'Read a client',
      access: 'user',
      params: OneClient,
      status: 200,
      async handle({ principal, params }) {
        const domainId = await domains.resolveId(params.domain)
        return present(await clients.get(principal, domainId, params.client))
      },
    }),
  ]
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
