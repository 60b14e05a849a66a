import * as fc from 'fast-check'
import { encodeBase64url } from '../../senml/base64url.ts'
import type { SenmlRecord } from '../../senml/record.ts'

const START = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'.split('')
const PUNCTUATION = '-:._'.split('')

/** Any finite double, the awkward ones and both zeros included. */
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(0, -0, 5e-324, 2 ** 53, -(2 ** 64), 1.5, 23.1),
)

/** Numbers that can be added up without leaving the doubles. */
const addend = fc.oneof(fc.double({ noNaN: true, min: -1e300, max: 1e300 }), fc.integer())

const text = fc.string({ unit: 'binary', maxLength: 40 })

const namePart = fc.string({ unit: fc.constantFrom(...START, ...PUNCTUATION, '/'), maxLength: 12 })
const wholeName = fc.tuple(fc.constantFrom(...START), namePart).map(([start, rest]) => start + rest)

const value: fc.Arbitrary<SenmlRecord> = fc.oneof(
  fc.record({ v: addend }),
  fc.record({ vs: text }),
  fc.record({ vb: fc.boolean() }),
  fc.record({ vd: fc.uint8Array({ maxLength: 20 }).map(encodeBase64url) }),
  fc.record({ s: addend }),
  fc.record({ v: addend, s: addend }),
)

/** Labels of extensions: none of RFC 8428, none that must be understood. */
const label = fc
  .string({ unit: fc.constantFrom(...START, ...PUNCTUATION), minLength: 1, maxLength: 5 })
  .filter((label) => !label.endsWith('_') && !/^(?:bn|bt|bu|bv|bs|bver|n|u|v|vs|vb|vd|s|t|ut)$/.test(label))

const extensions = fc.dictionary(label, fc.jsonValue({ maxDepth: 3, depthSize: 'small' }), { maxKeys: 2 })

/** Times that stay on their side of 2**28 when a base and a time are added, and resolve to what records can say. */
const relativeTime = fc.oneof(
  fc.integer({ min: -1000, max: 1000 }),
  fc.double({ noNaN: true, min: -1e4, max: 1e4 }),
)
const absoluteTime = fc.oneof(
  fc.integer({ min: 2 ** 30, max: 2 ** 33 }),
  fc.double({ noNaN: true, min: 2 ** 30, max: 2 ** 33 }),
)

const measurement = fc
  .tuple(
    value,
    fc.record(
      { n: namePart, u: fc.oneof(fc.constantFrom('Cel', 'V'), text), t: relativeTime, ut: number },
      { requiredKeys: [] },
    ),
    extensions,
  )
  .map(([value, rest, extensions]): SenmlRecord => ({ ...extensions, ...rest, ...value }))

const base = fc.record(
  {
    bn: wholeName,
    bt: fc.oneof(relativeTime, absoluteTime),
    bu: fc.constantFrom('Cel', 'V', '%RH'),
    bv: addend,
    bs: addend,
  },
  { requiredKeys: [] },
)

const baseInFront = fc.tuple(base, measurement).map(([base, record]): SenmlRecord => ({ ...base, ...record }))

/** A valid pack: the first record names the device, so that all have a name. */
export const pack: fc.Arbitrary<SenmlRecord[]> = fc
  .tuple(
    fc.record({ bn: wholeName, bver: fc.constantFrom(undefined, 5, 10) }),
    fc.array(fc.oneof({ weight: 3, arbitrary: measurement }, { weight: 1, arbitrary: baseInFront }), {
      minLength: 1,
      maxLength: 12,
    }),
  )
  .map(([{ bn, bver }, [first, ...rest]]) => [{ bn, ...(bver !== undefined && { bver }), ...first }, ...rest])

/** Seconds since the Unix epoch. */
export const now = fc.integer({ min: 1_600_000_000, max: 2_000_000_000 })

/** Cuts of a text or of bytes into pieces, as positions. */
export const cuts = fc.array(fc.nat(), { maxLength: 8 })
