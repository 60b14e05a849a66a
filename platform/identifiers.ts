import { z } from 'zod'

/** Forms of ids and names (contract 1.6), for all who read them: paths, bodies, topics, the environment. */

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const CANONICAL_UUID = new RegExp(UUID.source)

/** Whether it is a UUID of any version, in upper or lower case. */
export const isUuid = (text: string): boolean => UUID.test(text)

/** Whether it is a UUID as ids are kept and go over the bus: in lower case. */
export const isCanonicalUuid = (text: string): boolean => CANONICAL_UUID.test(text)

/** A UUID of any version, lower case on the way in. */
export const uuid = z
  .string()
  .regex(UUID, 'must be a UUID')
  .transform((id) => id.toLowerCase())

/** What somebody signs in with. */
export const username = z
  .string()
  .regex(
    /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,31}$/,
    'must be 1 to 32 letters, digits, - or _, a letter or digit first',
  )
  .refine((value) => !/__|--/.test(value), 'must not hold __ or --')

/** The alias of a domain or a channel. */
export const route = z
  .string()
  .regex(/^[a-zA-Z][a-zA-Z0-9_-]{0,35}$/, 'must be 1 to 36 letters, digits, - or _, a letter first')
  .refine((value) => !/__|--/.test(value), 'must not hold __ or --')
  .refine((value) => !isUuid(value), 'must not be in the form of a UUID')
