import type { IncomingMessage } from 'node:http'
import type { ParsedUrlQuery } from 'node:querystring'
import getRawBody from 'raw-body'
import { z } from 'zod'
import { InvalidInput, TooLarge, UnsupportedMediaType } from '../errors.ts'
import { requireStorable } from './storable.ts'

/** What reading a request needs of Koa's context. */
export interface RequestContext {
  readonly req: IncomingMessage
  readonly query: ParsedUrlQuery
  readonly state: { readonly maxBodyBytes: number }
  get(header: string): string
}

/**
 * Checks a value against its schema; what the schema returns is all that is passed on.
 *
 * @throws {InvalidInput} naming every field that does not fit
 */
export function parse<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => {
    const field = issue.path.map(String).join('.')
    return field === '' ? issue.message : `${field}: ${issue.message}`
  })
  throw new InvalidInput(problems.join('; '))
}

/**
 * Reads the JSON body. An empty body is an empty object, because official clients send `Content-Type: application/json`
 * without one (contract 1.2).
 *
 * @param limitBytes of the body
 * @throws {UnsupportedMediaType} a body that does not say it is JSON
 * @throws {InvalidInput} malformed JSON, text that cannot be stored, or not of the schema
 * @throws {TooLarge}
 */
export async function readJson<T extends z.ZodType>(
  ctx: RequestContext,
  schema: T,
  limitBytes = ctx.state.maxBodyBytes,
): Promise<z.output<T>> {
  const text = await readText(ctx, limitBytes)
  if (text.trim() === '') return parse(schema, {})
  if (!ctx.get('content-type').toLowerCase().includes('application/json')) {
    throw new UnsupportedMediaType(['application/json'])
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new InvalidInput(`malformed JSON: ${error instanceof Error ? error.message : 'unreadable'}`, {
      cause: error,
      code: 'malformed_json',
    })
  }
  requireStorable(value)
  return parse(schema, value)
}

async function readText(ctx: RequestContext, limit: number): Promise<string> {
  try {
    return await getRawBody(ctx.req, { length: ctx.get('content-length') || null, limit, encoding: 'utf8' })
  } catch (error) {
    if (error instanceof Error && 'type' in error) {
      if (error.type === 'entity.too.large') throw new TooLarge(limit)
      throw new InvalidInput('the body ended early', { cause: error })
    }
    throw error
  }
}

const ABSENT: ReadonlySet<string> = new Set(['', 'undefined', 'null'])

/**
 * Reads the query string. Empty, `undefined` and `null` count as absent, unknown parameters are ignored (contract 1.2).
 *
 * @throws {InvalidInput} a parameter given twice, text that cannot be stored, or not of the schema
 */
export function readQuery<T extends z.ZodObject>(ctx: RequestContext, schema: T): z.output<T> {
  const given: Record<string, string> = {}
  for (const name of Object.keys(schema.shape)) {
    const value = ctx.query[name]
    if (Array.isArray(value)) throw new InvalidInput(`${name}: given more than once`)
    if (value?.includes('\0')) throw new InvalidInput(`${name}: must not hold the character U+0000`)
    if (value !== undefined && !ABSENT.has(value.trim())) given[name] = value
  }
  requireStorable(given)
  return parse(schema, given)
}

/** What stands behind `Bearer` in the header `Authorization`; `undefined` when nothing does. */
export function readBearer(ctx: Pick<RequestContext, 'get'>): string | undefined {
  const [scheme, token = ''] = ctx.get('authorization').trim().split(/\s+/)
  return scheme?.toLowerCase() === 'bearer' && !ABSENT.has(token) ? token : undefined
}

/** A query value that is `true` or `false`. */
export const flag = z
  .enum(['true', 'false', '1', '0'])
  .transform((value) => value === 'true' || value === '1')

/** Not given: absent, `null`, or the empty string and zero time that Go's clients send for it (contract 1.2). */
export function optional<T extends z.ZodType>(schema: T) {
  return z.preprocess(
    (value) => (value === null || value === '' || value === '0001-01-01T00:00:00Z' ? undefined : value),
    schema.optional(),
  )
}

export const text = (maxLength: number) => z.string().max(maxLength)
export const tags = z.array(text(256)).max(256)

/** Lists show it whole, and every change writes it whole. */
const MAX_METADATA_BYTES = 65_536
export const metadata = z
  .record(z.string(), z.unknown())
  .refine(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= MAX_METADATA_BYTES,
    `must not be larger than ${MAX_METADATA_BYTES} bytes as JSON`,
  )
