import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { flag, metadata } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import { envelope, pageOf, pageQuery } from '../../platform/http/listing.ts'
import type { JournalReader } from './reader.ts'
import type { Entry } from './types.ts'

/** Unix seconds, as far as dates reach (ECMA-262, 21.4.1.1). */
const seconds = z.coerce
  .number()
  .min(0)
  .max(8.64e12)
  .transform((value) => new Date(value * 1_000))

const JournalQuery = z
  .object({
    ...pageQuery(),
    operation: z.string().max(254).optional(),
    from: seconds.optional(),
    to: seconds.optional(),
    with_attributes: flag.default(false),
    with_metadata: flag.default(false),
    dir: z.enum(['asc', 'desc']).default('desc'),
  })
  .refine(({ from, to }) => !from || !to || from <= to, { path: ['from'], message: 'must not be after to' })

const EntryBody = z.object({
  id: z.uuid(),
  domain: z.uuid().optional(),
  operation: z.string(),
  occurred_at: z.iso.datetime(),
  attributes: z.record(z.string(), z.unknown()).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
})

/** The journal of users and of entities (contract 10). */
export function journalEndpoints(journal: JournalReader): Endpoint[] {
  const page = { status: 200, query: JournalQuery, response: pageOf('journals', EntryBody) } as const

  return [
    endpoint({
      ...page,
      method: 'get',
      path: '/journal/user/:user',
      summary: 'What was done to a user and by a user; for that user and for superadmins',
      access: 'user',
      params: z.object({ user: uuid }),
      async handle({ principal, params, query }) {
        const entries = await journal.listOfUser(principal, params.user, toFilter(query))
        return envelope('journals', entries, query, presentWith(query))
      },
    }),

    endpoint({
      ...page,
      method: 'get',
      path: '/:domain/journal/:type/:entity',
      summary: 'What was done to an entity of a domain; with a user, what the user has done there',
      access: 'user',
      params: z.object({
        domain: z.string(),
        type: z.enum(['user', 'group', 'client', 'channel', 'domain']),
        entity: uuid,
      }),
      async handle({ principal, params, query }) {
        const subject = { type: params.type, id: params.entity }
        const entries = await journal.listOfEntity(principal, params.domain, subject, toFilter(query))
        return envelope('journals', entries, query, presentWith(query))
      },
    }),
  ]
}

type Query = z.output<typeof JournalQuery>

const toFilter = ({ operation, from, to, ...rest }: Query) => ({ ...rest, operation, from, to })

function presentWith({ with_attributes, with_metadata }: Query) {
  return (entry: Entry): z.input<typeof EntryBody> => ({
    id: entry.id,
    domain: entry.domainId ?? undefined,
    operation: entry.operation,
    occurred_at: entry.occurredAt.toISOString(),
    attributes: with_attributes ? presentAttributes(entry) : undefined,
    metadata: with_metadata ? (metadata.safeParse(entry.attributes['metadata']).data ?? {}) : undefined,
  })
}

/** What changed, and of what by whom, in the words of the other sources. */
function presentAttributes({ entityType, entityId, actorId, attributes }: Entry) {
  return { ...attributes, id: entityId, entity_type: entityType, user_id: actorId ?? undefined }
}
