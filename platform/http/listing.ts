import { z } from 'zod'
import type { GroupFilter, Listing, Page, TagsFilter } from '../db/listing.ts'
import { InvalidInput } from '../errors.ts'
import { flag, metadata, parse } from './input.ts'
import { uuid } from '../identifiers.ts'
import type { RequestContext } from './input.ts'
import { requireStorable } from './storable.ts'

const MAX_LIMIT = 100
const DEFAULT_LIMIT = 10

/** Offset and limit of every list; `limit=0` means the default (contract 1.5, D22). */
export const pageQuery = (maxLimit = MAX_LIMIT) => ({
  offset: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  limit: z.coerce
    .number()
    .int()
    .min(0)
    .max(maxLimit)
    .default(DEFAULT_LIMIT)
    .transform((limit) => (limit === 0 ? DEFAULT_LIMIT : limit)),
})

// RFC 3339 has years of four digits (section 5.6); JavaScript reads more, and Postgres does not hold them all.
const isTime = (value: string) => {
  const year = new Date(value).getUTCFullYear()
  return year >= 0 && year <= 9999
}

const moment = z
  .string()
  .refine(isTime, 'must be an RFC 3339 time')
  .transform((value) => (value.startsWith('0001-') ? undefined : new Date(value)))

const jsonObject = z.string().transform((value, ctx) => {
  try {
    const given: unknown = JSON.parse(value)
    // Escapes in it have become characters only now.
    requireStorable(given)
    const parsed = metadata.safeParse(given)
    if (parsed.success) return parsed.data
  } catch (error) {
    if (error instanceof InvalidInput) {
      ctx.addIssue({ code: 'custom', message: error.message })
      return z.NEVER
    }
    // Told below, like every other thing that is not an object.
  }
  ctx.addIssue({ code: 'custom', message: 'must be one JSON object' })
  return z.NEVER
})

/** Query parameters that all lists of entities take (contract 1.5). */
export function listingQuery(
  statuses: readonly [string, ...string[]],
  orders: readonly [string, ...string[]],
) {
  return z.object({
    ...pageQuery(),
    only_total: flag.default(false),
    order: z.enum(orders).default('updated_at'),
    dir: z.enum(['asc', 'desc']).optional(),
    direction: z.enum(['asc', 'desc']).optional(),
    id: uuid.optional(),
    name: z.string().max(1024).optional(),
    status: z
      .enum([...statuses, 'all', 'frozen'])
      .default('enabled')
      .transform((status) => (status === 'frozen' ? 'freezed' : status)),
    metadata: jsonObject.optional(),
    tags: z.string().optional(),
    tag: z.string().optional(),
    created_from: moment.optional(),
    created_to: moment.optional(),
  })
}

/** The checked query as the repositories take it. */
export function toListing(query: z.output<ReturnType<typeof listingQuery>>): Listing {
  return {
    offset: query.offset,
    limit: query.limit,
    onlyTotal: query.only_total,
    order: query.order,
    dir: query.dir ?? query.direction ?? 'desc',
    id: query.id,
    name: query.name,
    status: query.status === 'all' ? undefined : query.status,
    metadata: query.metadata,
    tags: parseTags(query.tags ?? query.tag),
    createdFrom: query.created_from,
    createdTo: query.created_to,
  }
}

/**
 * `a` has the tag, `a,b` has any of them, `a+b` (or a blank, which is what `+` decodes to) has all. Go's client joins
 * "all of" with `-`, which may also be part of a tag: both readings match (contract 1.5, D17).
 */
function parseTags(value: string | undefined): TagsFilter | undefined {
  if (value === undefined) return undefined
  const list = (separator: string | RegExp) => value.split(separator).filter((tag) => tag !== '')
  if (value.includes(',')) return { anyOf: list(',').map((tag) => [tag]) }
  if (/[+ ]/.test(value)) return { anyOf: [list(/[+ ]/)] }
  if (value.includes('-')) return { anyOf: [[value], list('-')] }
  return { anyOf: [[value]] }
}

/** `group=<id>` keeps a group's subtree, an empty `group=` what has no parent group (contract 6, 7). */
export function groupFilter(ctx: Pick<RequestContext, 'query'>): GroupFilter | undefined {
  const { group } = ctx.query
  if (group === undefined) return undefined
  if (group === '') return 'none'
  return { subtreeOf: parse(z.object({ group: uuid }), { group }).group }
}

/** A query value that holds several, separated by commas; none of them empty (contract 1.2, 1.5). */
export const commaList = z
  .string()
  .max(8_192)
  .transform((value) => value.split(',').flatMap((item) => (item.trim() === '' ? [] : [item.trim()])))

/** The shape of {@link envelope}, for declarations of endpoints. */
export function pageOf<K extends string, T extends z.ZodType>(key: K, item: T) {
  const list = { [key]: z.array(item) } as Record<K, z.ZodArray<T>>
  return z.object({ total: z.number(), offset: z.number(), limit: z.number(), ...list })
}

/** One page in the contract's envelope: `total` counts all matches without offset and limit. */
export function envelope<T, U>(
  key: string,
  page: Page<T>,
  listing: { readonly offset: number; readonly limit: number },
  present: (item: T) => U,
) {
  const { offset, limit } = listing
  return { total: page.total, offset, limit, [key]: page.items.map((item) => present(item)) }
}
