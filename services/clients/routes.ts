import { z } from 'zod'
import { deletionReply } from '../../platform/http/deletion.ts'
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
import type { Clients } from './service.ts'
import type { Client, ClientWithSecret, NewClient } from './types.ts'

const MAX_BULK = 1_000
const MAX_GRACE_S = 30 * 86_400

const secret = z.string().max(1024)

const CreateClient = z
  .object({
    ...newGrouped,
    credentials: optional(z.object({ identity: optional(text(1024)), secret: optional(secret) })),
    private_metadata: optional(metadata),
  })
  .transform((body): NewClient => ({
    ...readNewGrouped(body),
    identity: body.credentials?.identity ?? '',
    secret: body.credentials?.secret,
    privateMetadata: body.private_metadata ?? {},
  }))

const UpdateClient = z.object({
  name: optional(text(1024)),
  metadata: optional(metadata),
  private_metadata: optional(metadata),
})

const UpdateSecret = z.object({ secret: optional(secret) })
const RotateSecret = z.object({ grace_period_s: optional(z.int().min(0).max(MAX_GRACE_S)) })

const ListClients = EntityQuery.extend({
  /** Empty for those in no group, which `groupFilter` reads. */
  group: uuid.optional(),
  channel: uuid.optional(),
  connection_type: connectionType.optional(),
})

const ClientBody = z.object({
  ...groupedShape,
  credentials: z.object({ identity: z.string(), secret: z.string() }),
  identity: z.string(),
  private_metadata: z.record(z.string(), z.unknown()).optional(),
  owner: z.uuid(),
})

export function clientEndpoints(parts: { clients: Clients; domains: DomainNames }): Endpoint[] {
  const { clients, domains } = parts
  return [
    endpoint({
      method: 'post',
      path: '/:domain/clients',
      summary: 'Create a client; its secret is shown in this answer alone',
      access: 'user',
      params: InDomain,
      body: CreateClient,
      status: 201,
      response: ClientBody,
      async handle({ ctx, principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const [created] = await clients.create(principal, domainId, [body])
        if (!created) throw new Error('one client went in and none came out')
        ctx.set('Location', `/clients/${created.client.id}`)
        return presentWithSecret(created)
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
      response: z.object({ total: z.int(), clients: z.array(ClientBody) }),
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const created = await clients.create(principal, domainId, body)
        return { total: created.length, clients: created.map(presentWithSecret) }
      },
    }),

    ...listEndpoints({
      type: 'client',
      domains,
      query: ListClients,
      read: ({ channel, connection_type: type }) => ({
        connected: channel === undefined ? undefined : { to: channel, type },
      }),
      list: (principal, listing) => clients.list(principal, listing),
      arrange: (page) => page.map((client) => present(client)),
      response: ClientBody,
    }),

    ...entityEndpoints<Client>({
      type: 'client',
      entities: clients,
      domains,
      present: (client) => present(client),
      response: ClientBody,
      onRemoved: (ctx) => deletionReply(ctx, 'Client deleted successfully'),
    }),
    ...parentEndpoints({ type: 'client', entities: clients, domains }),

    endpoint({
      method: 'patch',
      path: '/:domain/clients/:id',
      summary: 'Change name or metadata; absent fields stay',
      access: 'user',
      params: OneEntity,
      body: UpdateClient,
      status: 200,
      response: ClientBody,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const { private_metadata: privateMetadata, ...change } = body
        return present(await clients.update(principal, domainId, params.id, { ...change, privateMetadata }))
      },
    }),

    endpoint({
      method: 'patch',
      path: '/:domain/clients/:id/secret',
      summary: 'Replace the secret; its connections close',
      access: 'user',
      params: OneEntity,
      body: UpdateSecret,
      status: 200,
      response: ClientBody,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        return presentWithSecret(await clients.updateSecret(principal, domainId, params.id, body.secret))
      },
    }),

    endpoint({
      method: 'post',
      path: '/:domain/clients/:id/secret/rotate',
      summary: 'Make a new secret; the old one still holds for the grace period',
      access: 'user',
      params: OneEntity,
      body: RotateSecret,
      status: 200,
      response: ClientBody,
      async handle({ principal, params, body }) {
        const domainId = await domains.resolveId(params.domain)
        const graceS = body.grace_period_s ?? 0
        return presentWithSecret(await clients.rotateSecret(principal, domainId, params.id, graceS))
      },
    }),
  ]
}

const presentWithSecret = ({ client, secret }: ClientWithSecret) => present(client, secret)

/** @param secret empty everywhere but in the answers to creation and change of the secret (contract D29) */
function present(client: Client, secret = '') {
  return {
    ...presentGrouped('client', client),
    credentials: { identity: client.identity, secret },
    identity: client.identity,
    private_metadata: client.privateMetadata,
    owner: client.createdBy,
  }
}
