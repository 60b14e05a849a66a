import { describe, expect, it } from 'vitest'
import { applyPatch, fetchRecords } from '../../senml/etch-apply.ts'
import { concat } from '../../senml/bytes.ts'
import { compact } from '../../senml/compact.ts'
import { JsonStreamReader } from '../../senml/json-stream.ts'
import { CborStreamReader } from '../../senml/cbor-stream.ts'
import { parseCbor, parseJson } from '../../senml/parse.ts'
import { failureOf } from './errors.ts'

/*
 * Input made to cost more than its size. Nothing here is timed; what takes more than linear time on a megabyte does
 * not come back before the test runner gives up.
 */

const MEGABYTE = 1_000_000

/** CBOR of one record, `0: "a"` and then what is given. */
function cborRecord(pairs: number, ...rest: (readonly number[] | Uint8Array)[]): Uint8Array {
  return concat([
    Uint8Array.of(0x81, 0xa0 + pairs, 0x00, 0x61, 0x61),
    ...rest.map((part) => Uint8Array.from(part)),
  ])
}

describe('a megabyte of JSON', () => {
  it.each([
    ['opening brackets', '['.repeat(MEGABYTE), 'invalid_json'],
    [
      'an extension that nests',
      `[{"n":"a","v":1,"x":${'['.repeat(400_000)}${']'.repeat(400_000)}}]`,
      'too_deep',
    ],
    [
      'objects that nest',
      `[{"n":"a","v":1,"x":${'{"x":'.repeat(150_000)}1${'}'.repeat(150_000)}}]`,
      'too_deep',
    ],
    ['a name of letters', `[{"n":"${'a'.repeat(MEGABYTE)}!","v":1}]`, 'invalid_name'],
    ['data', `[{"n":"a","vd":"${'A'.repeat(MEGABYTE)}+"}]`, 'invalid_data'],
    ['surrogate pairs and half of one', `[{"n":"a","vs":"${'😀'.repeat(250_000)}\\ud83d"}]`, 'invalid_text'],
    ['digits', `[{"n":"a","v":${'9'.repeat(MEGABYTE)}}]`, 'not_finite'],
    ['empty records', `[{"n":"a","v":1}${',{}'.repeat(300_000)}]`, 'too_many_records'],
  ])('is refused: %s', (_, text, code) => {
    expect(failureOf(() => parseJson(text, { maxBytes: 2 * MEGABYTE }))).toMatchObject({ code })
  })

  it('is read: fields of extensions by the hundred thousand', () => {
    const fields = Array.from({ length: 100_000 }, (_, i) => `"x${i}":0`).join(',')

    expect(parseJson(`[{"n":"a","v":1,${fields}}]`, { maxBytes: 2 * MEGABYTE })).toHaveLength(1)
  })

  it('is read as a stream byte by byte', () => {
    const reader = new JsonStreamReader({ maxRecordBytes: MEGABYTE })
    const bytes = new TextEncoder().encode(`[{"n":"a","vs":"${'x'.repeat(MEGABYTE - 20)}"}`)
    const read = []
    for (let at = 0; at < bytes.length; at++) read.push(...reader.push(bytes.subarray(at, at + 1)))

    expect(read).toHaveLength(1)
  })
})

describe('a megabyte of CBOR', () => {
  const many = (byte: number) => new Uint8Array(MEGABYTE).fill(byte)
  const length = [(MEGABYTE >> 24) & 255, (MEGABYTE >> 16) & 255, (MEGABYTE >> 8) & 255, MEGABYTE & 255]

  it.each([
    ['arrays that nest', cborRecord(3, [2, 1, 0x61, 0x78], many(0x81)), 'too_deep'],
    ['arrays without a length that nest', cborRecord(3, [2, 1, 0x61, 0x78], many(0x9f)), 'too_deep'],
    ['tags on tags', cborRecord(2, [2], many(0xc1)), 'too_deep'],
    [
      'tags that say it is CBOR',
      Uint8Array.from({ length: 999_999 }, (_, i) => [0xd9, 0xd9, 0xf7][i % 3] ?? 0),
      'invalid_cbor',
    ],
    ['a bignum', cborRecord(2, [2, 0xc2, 0x5a, ...length], many(0xff)), 'not_finite'],
    [
      'a decimal fraction',
      cborRecord(2, [2, 0xc4, 0x82, 0x20, 0xc2, 0x5a, ...length], many(0xff)),
      'not_finite',
    ],
    [
      'a huge exponent',
      cborRecord(2, [2, 0xc4, 0x82, 0x1b, 0x7f, ...many(0xff).slice(0, 7), 1]),
      'not_finite',
    ],
    ['a length of which nothing follows', cborRecord(2, [3, 0x7a, 0x7f, 0xff, 0xff, 0xff]), 'invalid_cbor'],
    [
      'an array of which nothing follows',
      cborRecord(3, [2, 1, 0x61, 0x78, 0x9a, 0xff, 0xff, 0xff, 0xff]),
      'invalid_cbor',
    ],
    ['maps that are empty', Uint8Array.from([0x9f, ...many(0xa0)]), 'too_many_records'],
  ])('is refused: %s', (_, bytes, code) => {
    expect(failureOf(() => parseCbor(bytes, { maxBytes: 2 * MEGABYTE }))).toMatchObject({ code })
  })

  it('is read as a stream byte by byte', () => {
    const reader = new CborStreamReader({ maxRecordBytes: 2 * MEGABYTE })
    const bytes = cborRecord(2, [3, 0x7a, ...length], many(0x78))
    const read = []
    for (let at = 0; at < bytes.length; at++) read.push(...reader.push(bytes.subarray(at, at + 1)))

    expect(read).toHaveLength(1)
  })
})

describe('a hundred thousand records of one name', () => {
  const records = Array.from({ length: 100_000 }, (_, i) => ({ n: 'a', t: 1276020076 + i, v: i }))

  it('are compacted, fetched and patched in one walk', () => {
    const times = records.map(({ n, t }) => ({ n, t }))

    expect(compact(records)).toHaveLength(records.length)
    expect(fetchRecords(records, times, 1.7e9)).toHaveLength(records.length)
    expect(
      applyPatch(
        records,
        times.map((time) => ({ ...time, v: null })),
        1.7e9,
      ),
    ).toEqual([])
  })
})
