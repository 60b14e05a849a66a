import { z } from 'zod'
import { text } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'

/** Forms of a user's fields (contract 1.6). */

export const name = text(1024).trim().min(1)
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
