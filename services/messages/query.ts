import type { ParsedUrlQuery } from 'node:querystring'
import { z } from 'zod'
import { parseDuration } from '../../platform/duration.ts'
import { InvalidInput } from '../../platform/errors.ts'
import { flag, parse } from '../../platform/http/input.ts'
import { pageQuery } from '../../platform/http/listing.ts'
import { AGGREGATIONS, COMPARATORS, FILLS } from './filter.ts'
import type { MessageFilter } from './filter.ts'

/** Messages of one page; an export has a bound of its own. */
const MAX_LIMIT = 1_000
const DEFAULT_LIMIT = 10
/** Buckets that one aggregation may span, for each name; what has a reading and what is filled count alike. */
export const MAX_BUCKETS = 100_000
const MAX_NAMES = 1_000

const number = z.coerce.number().refine(Number.isFinite, 'must be a number')

/** Seconds; larger numbers are milliseconds, microseconds or nanoseconds, as older servers had them (contract D9). */
export function toSeconds(value: number): number {
  const magnitude = Math.abs(value)
  if (magnitude >= 1e17) return value / 1e9
  if (magnitude >= 1e14) return value / 1e6
  if (magnitude >= 1e11) return value / 1e3
  return value
}

const time = number.transform(toSeconds)

const interval = z.string().transform((value, ctx) => {
  const seconds = parseDuration(value)
  if (seconds !== undefined && seconds > 0) return seconds
  ctx.addIssue({ code: 'custom', message: 'must be a duration such as 15m or 24h' })
  return z.NEVER
})

/** One name, or several by commas, which no name can hold (RFC 8428 section 4.5.1). */
export const nameList = z.string().transform((value) => value.split(',').filter((name) => name !== ''))

/** Query parameters of the reader (contract 16), and what we have on top. */
export const MessagesQuery = z.object({
  offset: pageQuery().offset,
  limit: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  cursor: z.string().optional(),
  format: z.string().default('messages'),
  subtopic: z.string().optional(),
  publisher: z.string().optional(),
  protocol: z.string().optional(),
  name: nameList.optional(),
  v: number.optional(),
  value: number.optional(),
  comparator: z.enum(COMPARATORS).default('eq'),
  vb: z
    .enum(['true', 'false'])
    .transform((value) => value === 'true')
    .optional(),
  vs: z.string().optional(),
  vd: z.string().optional(),
  from: time.optional(),
  to: time.optional(),
  latest: flag.default(false),
  aggregation: z.string().toLowerCase().pipe(z.enum(AGGREGATIONS)).optional(),
  interval: interval.default(1),
  fill: z.string().toLowerCase().pipe(z.enum(FILLS)).optional(),
  order: z.string().optional(),
  dir: z.enum(['asc', 'desc']).optional(),
  direction: z.enum(['asc', 'desc']).optional(),
})

type Query = z.output<typeof MessagesQuery>

/** Filters that the answer says back as they were given (contract 16). */
const ECHOED = [
  'order',
  'dir',
  'subtopic',
  'publisher',
  'protocol',
  'name',
  'v',
  'comparator',
  'vb',
  'vs',
  'vd',
  'from',
  'to',
  'latest',
  'aggregation',
  'interval',
  'fill',
] as const

/**
 * @param gluedSubtopic what the path had behind `messages`, as one SDK sends a subtopic
 * @throws {InvalidInput} parameters that do not go together
 */
export function toMessageFilter(query: Query, gluedSubtopic: string | undefined): MessageFilter {
  check(query)
  return {
    offset: query.offset,
    limit: query.limit === 0 ? undefined : query.limit,
    cursor: query.cursor,
    format: query.format,
    subtopic: trimSlashes(query.subtopic ?? gluedSubtopic),
    publisher: query.publisher,
    protocol: query.protocol,
    names: query.name,
    comparator: query.comparator,
    value: query.v ?? query.value,
    boolValue: query.vb,
    stringValue: query.vs,
    dataValue: query.vd,
    from: query.from,
    to: query.to,
    isLatest: query.latest,
    aggregation: query.aggregation,
    intervalS: query.interval,
    fill: query.fill,
    order: query.order,
    // Names have a natural beginning, times a natural end.
    dir: query.dir ?? query.direction ?? (query.latest ? 'asc' : 'desc'),
  }
}

function check({ aggregation, from, to, interval, fill, latest, name, order, cursor, offset }: Query): void {
  if (cursor !== undefined && offset > 0) throw new InvalidInput('offset: not together with cursor')
  if (name && name.length > MAX_NAMES) throw new InvalidInput(`name: at most ${MAX_NAMES} names`)
  if (fill !== undefined && aggregation === undefined) throw new InvalidInput('fill: needs an aggregation')
  if (latest && aggregation !== undefined) throw new InvalidInput('latest: not together with aggregation')
  if (latest && order !== undefined && order !== 'name') {
    throw new InvalidInput('order: the latest readings are ordered by name')
  }
  if (aggregation === undefined) return
  if (from === undefined || to === undefined) throw new InvalidInput('aggregation: needs from and to')
  if (Math.max(Math.abs(from), Math.abs(to)) / interval > Number.MAX_SAFE_INTEGER) {
    throw new InvalidInput('interval: too short for moments as far off as from and to')
  }
  const buckets = Math.ceil((to - from) / interval) * Math.max(1, name?.length ?? 1)
  if (buckets > MAX_BUCKETS) {
    throw new InvalidInput(`interval: from and to make ${buckets} of it; at most ${MAX_BUCKETS} are answered`)
  }
}

/** The same question for one page. @throws {InvalidInput} a page is not that long */
export function toPage(filter: MessageFilter): MessageFilter & { readonly limit: number } {
  const { limit = DEFAULT_LIMIT } = filter
  if (limit > MAX_LIMIT) throw new InvalidInput(`limit: at most ${MAX_LIMIT}, and more in an export`)
  return { ...filter, limit }
}

const trimSlashes = (value: string | undefined) => value?.replace(/^\/+|\/+$/g, '')

const Echo = z.object({
  v: number,
  vb: z.stringbool(),
  from: number,
  to: number,
  latest: z.stringbool(),
})

/** The filters that were given, numbers as numbers. */
export function echoFilter(query: ParsedUrlQuery): Record<string, unknown> {
  const echo: Record<string, unknown> = {}
  for (const name of ECHOED) {
    const given = query[name] ?? (name === 'v' ? query.value : undefined)
    if (typeof given !== 'string' || given === '') continue
    const schema = name in Echo.shape ? Echo.shape[name as keyof typeof Echo.shape] : undefined
    echo[name] = schema ? parse(schema, given) : given
  }
  return echo
}
