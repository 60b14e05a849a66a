import { z } from 'zod'
import { text, uuid } from '../../platform/http/input.ts'

/** Forms of a user's fields (contract 1.6). */

export const name = text(1024).trim().min(1)
export const username = z
  .string()
  .regex(
    /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,31}$/,
    'must be 1 to 32 letters, digits, - or _, a letter or digit first',
  )
  .refine((value) => !/__|--/.test(value), 'must not hold __ or --')
export const email = z
  .email()
  .max(254)
  .transform((value) => value.toLowerCase())
// argon2 reads the whole of it: bounded, so that nobody buys minutes of hashing with one request.
export const password = z.string().min(8, 'must have at least 8 characters').max(1024)
/** A password that is only compared. Any text may be wrong; hashing as much as the longest right one is enough. */
export const triedPassword = z.string().transform((value) => value.slice(0, 1025))
export const picture = z.union([z.literal(''), z.url({ protocol: /^https?$/ }).max(2048)])

export const UserId = z.object({ user: uuid })
