import type { ParsedUrlQuery } from 'node:querystring'
import { z } from 'zod'
import { parseDuration } from '../../platform/duration.ts'
import { InvalidInput } from '../../platform/errors.ts'
import { parse } from '../../platform/http/input.ts'
import { pageQuery } from '../../platform/http/listing.ts'

const MAX_LIMIT = 1_000

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

/** Query parameters of the reader (contract 16). */
export const MessagesQuery = z.object({
  ...pageQuery(MAX_LIMIT),
  format: z.string().default('messages'),
  subtopic: z.string().optional(),
  publisher: z.string().optional(),
  protocol: z.string().optional(),
  name: z.string().optional(),
  v: number.optional(),
  value: number.optional(),
  comparator: z.enum(['eq', 'lt', 'le', 'gt', 'ge']).default('eq'),
  vb: z
    .enum(['true', 'false'])
    .transform((value) => value === 'true')
    .optional(),
  vs: z.string().optional(),
  vd: z.string().optional(),
  from: time.optional(),
  to: time.optional(),
  aggregation: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['max', 'min', 'avg', 'sum', 'count']))
    .optional(),
  interval: interval.default(1),
  order: z.string().optional(),
  dir: z.enum(['asc', 'desc']).optional(),
  direction: z.enum(['asc', 'desc']).optional(),
})

export type Comparator = z.output<typeof MessagesQuery>['comparator']

/** A checked question to the reader. */
export interface MessageFilter {
  readonly offset: number
  readonly limit: number
  readonly format: string
  readonly subtopic: string | undefined
  readonly publisher: string | undefined
  readonly protocol: string | undefined
  readonly name: string | undefined
  readonly comparator: Comparator
  readonly value: number | undefined
  readonly boolValue: boolean | undefined
  readonly stringValue: string | undefined
  readonly dataValue: string | undefined
  /** Seconds since the Unix epoch, inclusive. */
  readonly from: number | undefined
  /** Seconds since the Unix epoch, exclusive. */
  readonly to: number | undefined
  readonly aggregation: 'max' | 'min' | 'avg' | 'sum' | 'count' | undefined
  readonly intervalS: number
  readonly order: string | undefined
  readonly dir: 'asc' | 'desc'
}

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
  'aggregation',
  'interval',
] as const

/**
 * @param gluedSubtopic what the path had behind `messages`, as one SDK sends a subtopic
 * @throws {InvalidInput} an aggregation without its bounds
 */
export function toMessageFilter(
  query: z.output<typeof MessagesQuery>,
  gluedSubtopic: string | undefined,
): MessageFilter {
  if (query.aggregation !== undefined && (query.from === undefined || query.to === undefined)) {
    throw new InvalidInput('aggregation: needs from and to')
  }
  return {
    offset: query.offset,
    limit: query.limit,
    format: query.format,
    subtopic: trimSlashes(query.subtopic ?? gluedSubtopic),
    publisher: query.publisher,
    protocol: query.protocol,
    name: query.name,
    comparator: query.comparator,
    value: query.v ?? query.value,
    boolValue: query.vb,
    stringValue: query.vs,
    dataValue: query.vd,
    from: query.from,
    to: query.to,
    aggregation: query.aggregation,
    intervalS: query.interval,
    order: query.order,
    dir: query.dir ?? query.direction ?? 'desc',
  }
}

const trimSlashes = (value: string | undefined) => value?.replace(/^\/+|\/+$/g, '')

const Echo = z.object({
  v: number,
  vb: z.stringbool(),
  from: number,
  to: number,
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
