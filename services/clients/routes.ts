import { z } from 'zod'
import { deletionReply } from '../../platform/http/deletion.ts'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { metadata, optional, text } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import { groupedEndpoints, groupedQuery } from '../entities/grouped-routes.ts'
import type { DomainNames } from '../entities/routes.ts'
import { groupedShape, newGrouped, OneEntity, presentGrouped, readNewGrouped } from '../entities/wire.ts'
import type { Clients } from './service.ts'
import type { Client, ClientChange, ClientWithSecret, NewClient } from './types.ts'

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

const UpdateClient = z
  .object({
    name: optional(text(1024)),
    metadata: optional(metadata),
    private_metadata: optional(metadata),
  })
  .transform(({ private_metadata: privateMetadata, ...body }): ClientChange => ({ ...body, privateMetadata }))

const UpdateSecret = z.object({ secret: optional(secret) })
const RotateSecret = z.object({ grace_period_s: optional(z.int().min(0).max(MAX_GRACE_S)) })

const ListClients = groupedQuery({ channel: uuid.optional() })

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
    ...groupedEndpoints({
      type: 'client',
      entities: clients,
      domains,
      present: (client: Client) => present(client),
      response: ClientBody,
      create: {
        summary: 'Create a client; its secret is shown in this answer alone',
        body: CreateClient,
        present: presentWithSecret,
      },
      list: { query: ListClients, connectedTo: (query) => query.channel },
      update: {
        methods: ['patch'],
        summary: 'Change name or metadata; absent fields stay',
        body: UpdateClient,
      },
      onRemoved: (ctx) => deletionReply(ctx, 'Client deleted successfully'),
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
