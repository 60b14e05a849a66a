import { isIP } from 'node:net'
import { z } from 'zod'
import { parseServers } from './bus/servers.ts'

/**
 * The kinds of values that stand in environment variables: text in, something typed out. The error of each reads on
 * behind a variable's name.
 */

export function text(): z.ZodType<string, string> {
  return z.string()
}

export function atLeast(characters: number): z.ZodType<string, string> {
  return z.string().min(characters, `must have at least ${characters} characters`)
}

export function oneOf<const Values extends readonly string[]>(
  values: Values,
): z.ZodType<Values[number], string> {
  return z.string().pipe(z.enum(values, `must be one of ${values.join(', ')}`))
}

export function flag(): z.ZodType<boolean, string> {
  return z
    .string()
    .transform((value) => value.toLowerCase())
    .pipe(z.enum(['1', 'true', '0', 'false'], 'must be 1, true, 0 or false'))
    .transform((value) => value === '1' || value === 'true')
}

export function integer(min: number, max: number): z.ZodType<number, string> {
  const error = `must be a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,16}$/, error)
    .transform(Number)
    .refine((value) => value >= min && value <= max, error)
}

/** Comma list, blanks around its items allowed, each item once. */
export function list<Item>(item: z.ZodType<Item, string>): z.ZodType<readonly Item[], string> {
  return z
    .string()
    .transform((value) =>
      value
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .pipe(z.array(item).min(1, 'must name at least one'))
    .refine((items) => new Set(items).size === items.length, 'must not name anything twice')
    .transform((items) => Object.freeze(items))
}

/** @param schemes what the URL may begin with, `://` left out */
export function url(...schemes: string[]): z.ZodType<string, string> {
  const begins = new RegExp(`^(${schemes.join('|')})://`, 'i')
  const error = `must be a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`
  return z.string().refine((value) => begins.test(value) && URL.canParse(value), error)
}

/** One NATS URL or a comma list of the servers of a cluster. */
export function natsServers(): z.ZodType<string, string> {
  return z.string().superRefine((value, context) => {
    try {
      parseServers(value)
    } catch (error) {
      context.addIssue({ code: 'custom', message: `is not usable: ${(error as Error).message}` })
    }
  })
}

/** An IP address, or a network as address and length of its prefix. */
export function network(): z.ZodType<string, string> {
  return z.string().refine((value) => {
    const [address = '', prefix, ...more] = value.split('/')
    const version = isIP(address)
    const isPrefix =
      prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128))
    return version !== 0 && isPrefix && more.length === 0
  }, 'must be an IP address, or a network such as 10.0.0.0/8')
}

/** Lower case on the way in, as all addresses are kept. */
export function email(): z.ZodType<string, string> {
  return z.email('must be an e-mail address').transform((value) => value.toLowerCase())
}

/** A key of 32 bytes, in hexadecimal digits or in base64 (either alphabet). */
export function key(): z.ZodType<Uint8Array, string> {
  return z
    .string()
    .regex(
      /^([0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)$/,
      'must be 32 bytes, as 64 hexadecimal digits or in base64',
    )
    .transform((value) => new Uint8Array(Buffer.from(value, value.length === 64 ? 'hex' : 'base64')))
}
