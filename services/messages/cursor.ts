import { z } from 'zod'
import { InvalidInput } from '../../platform/errors.ts'

/**
 * A place in a list as clients carry it around: opaque to them, and checked when it comes back.
 *
 * @param list what is listed and how, so that a cursor of one list is not taken for one of another
 * @param key what the last item is ordered by
 */
export function encodeCursor(list: string, key: readonly unknown[]): string {
  return Buffer.from(JSON.stringify([list, ...key])).toString('base64url')
}

/**
 * @param key what a key of this list looks like
 * @throws {InvalidInput} not a cursor of this list
 */
export function decodeCursor<Key extends readonly unknown[]>(
  list: string,
  key: z.ZodType<Key>,
  cursor: string,
): Key {
  try {
    const [name, ...rest] = z
      .array(z.unknown())
      .parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
    if (name === list) return key.parse(rest)
  } catch {
    // Told below, like a cursor of another list.
  }
  throw new InvalidInput('cursor: is not one that a page of this query has given')
}
