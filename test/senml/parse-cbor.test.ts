import { encode, Tagged } from 'cborg'
import { describe, expect, it } from 'vitest'
import { parseCbor } from '../../senml/parse.ts'
import { failureOf } from './errors.ts'
import { hex } from './hex.ts'

/** A pack of one record whose map is given as hex, behind `0: "a"`; the count of pairs includes that one. */
const record = (pairs: number, rest: string) => hex(`81 ${(0xa0 + pairs).toString(16)} 00 61 61 ${rest}`)

describe('a number in CBOR', () => {
  it.each([
    ['a small integer', '17', 23],
    ['an integer of a byte', '18 ff', 255],
    ['an integer of two bytes', '19 03 e8', 1000],
    ['an integer of four bytes', '1a 4e ae a1 88', 1320067464],
    ['an integer of eight bytes', '1b 00 00 00 e8 d4 a5 10 00', 1e12],
    ['an integer beyond 2**53, to the nearest double', '1b ff ff ff ff ff ff ff ff', 2 ** 64],
    ['a negative integer', '29', -10],
    ['a negative integer beyond 2**53', '3b ff ff ff ff ff ff ff ff', -(2 ** 64)],
    ['a half', 'f9 3e 00', 1.5],
    ['the smallest half', 'f9 00 01', 2 ** -24],
    ['a negative zero', 'f9 80 00', -0],
    ['a single', 'fa 47 c3 50 00', 100000],
    ['a double', 'fb 40 37 19 99 99 99 99 9a', 23.1],
    ['a bignum', 'c2 49 01 00 00 00 00 00 00 00 00', 2 ** 64],
    ['a bignum with leading zeros', 'c2 43 00 00 07', 7],
    ['a negative bignum', 'c3 41 09', -10],
    ['a decimal fraction', 'c4 82 21 19 6a b3', 273.15],
    ['a decimal fraction with a positive exponent', 'c4 82 03 07', 7000],
    ['a decimal fraction with a bignum', 'c4 82 20 c2 41 0f', 1.5],
    ['a decimal fraction with a negative bignum', 'c4 82 20 c3 41 0e', -1.5],
    ['a decimal fraction too small for a double', 'c4 82 3a 00 ff ff ff 01', 0],
  ])('may be %s', (_, bytes, v) => {
    expect(parseCbor(record(2, `02 ${bytes}`))[0]?.v).toBe(v)
  })

  it.each([
    ['infinite', 'f9 7c 00', 'not_finite'],
    ['NaN', 'f9 7e 00', 'not_finite'],
    ['a bignum beyond doubles', `c2 58 81 01 ${'00'.repeat(128)}`, 'not_finite'],
    ['a bignum of 128 bytes that is beyond doubles', `c2 58 80 ${'ff'.repeat(128)}`, 'not_finite'],
    ['a decimal fraction beyond doubles', 'c4 82 1a 00 ff ff ff 01', 'not_finite'],
    ['a text', '61 31', 'wrong_type'],
    ['null', 'f6', 'wrong_type'],
    ['undefined', 'f7', 'wrong_type'],
    ['a byte string', '41 31', 'wrong_type'],
    ['a bigfloat, which RFC 8428 does not list', 'c5 82 20 03', 'wrong_type'],
  ])('is not %s', (_, bytes, code) => {
    expect(failureOf(() => parseCbor(record(2, `02 ${bytes}`)))).toEqual({ code, index: 0, field: 'v' })
  })

  it.each([
    ['a bignum that is a number', 'c2 01'],
    ['a decimal fraction of one item', 'c4 81 01'],
    ['a decimal fraction that is a number', 'c4 01'],
    ['a decimal fraction with a text', 'c4 82 01 61 31'],
    ['a decimal fraction with a broken exponent', 'c4 82 f9 3e 00 01'],
    ['a decimal fraction with another tag', 'c4 82 01 c1 01'],
  ])('is not %s', (_, bytes) => {
    expect(failureOf(() => parseCbor(record(2, `02 ${bytes}`)))).toEqual({
      code: 'invalid_cbor',
      index: 0,
      field: 'v',
    })
  })

  it('is an unsigned integer where it is the version', () => {
    expect(parseCbor(record(3, '20 05 02 01'))[0]?.bver).toBe(5)
    expect(failureOf(() => parseCbor(record(3, '20 f9 45 00 02 01')))).toEqual({
      code: 'wrong_type',
      index: 0,
      field: 'bver',
    })
  })
})

describe('a text in CBOR', () => {
  it.each(['é', '\ufeffbehind a byte order mark', 'a replacement character \ufffd', '😀'.repeat(20)])(
    'is read whole: %j',
    (vs) => {
      expect(
        parseCbor(
          encode([
            new Map<number, unknown>([
              [0, 'a'],
              [3, vs],
            ]),
          ]),
        ),
      ).toEqual([{ n: 'a', vs }])
    },
  )

  it('is UTF-8', () => {
    expect(failureOf(() => parseCbor(record(2, '03 61 ff')))).toEqual({ code: 'invalid_cbor' })
  })

  it('has its length in front', () => {
    expect(failureOf(() => parseCbor(record(2, '03 7f 61 61 61 62 ff')))).toEqual({ code: 'invalid_cbor' })
  })
})

describe('data in CBOR', () => {
  it('is a byte string, and becomes base64url', () => {
    expect(parseCbor(record(2, '08 44 68 69 20 0a'))).toEqual([{ n: 'a', vd: 'aGkgCg' }])
    expect(parseCbor(record(2, '08 40'))).toEqual([{ n: 'a', vd: '' }])
  })

  it('is not text, even if that is base64url', () => {
    expect(failureOf(() => parseCbor(record(2, '08 62 61 41')))).toEqual({
      code: 'wrong_type',
      index: 0,
      field: 'vd',
    })
  })
})

describe('a label in CBOR', () => {
  it('may be the text that JSON has', () => {
    expect(parseCbor(encode([{ n: 'a', v: 1, u: 'V' }]))).toEqual([{ n: 'a', v: 1, u: 'V' }])
  })

  it('is kept as text where no field of RFC 8428 has it', () => {
    const pack = [
      new Map<unknown, unknown>([
        [0, 'a'],
        [2, 1],
        [9, 2],
        [-7, 3],
        [2n ** 60n, 4],
        ['foo', 5],
      ]),
    ]

    expect(parseCbor(encode(pack))).toEqual([
      { n: 'a', v: 1, '9': 2, '-7': 3, '1152921504606846976': 4, foo: 5 },
    ])
  })

  it.each([
    ['00 61 62', 'n'],
    ['61 6e 61 62', 'n'],
  ])('stands in a record once', (again, field) => {
    expect(failureOf(() => parseCbor(record(3, `02 01 ${again}`)))).toEqual({
      code: 'duplicate_field',
      index: 0,
      field,
    })
  })

  it('may be called __proto__, in a record or further down', () => {
    const name = '69 5f 5f 70 72 6f 74 6f 5f 5f'
    const understood = new Set(['__proto__'])
    const [read] = parseCbor(record(3, `02 01 ${name} a1 ${name} 01`), { understood })

    expect(Object.keys(read ?? {})).toEqual(['n', 'v', '__proto__'])
    expect(Object.keys(Object.getOwnPropertyDescriptor(read, '__proto__')?.value as object)).toEqual([
      '__proto__',
    ])
  })

  it('is nothing but text or an integer', () => {
    expect(failureOf(() => parseCbor(record(2, 'f5 01')))).toEqual({ code: 'invalid_record', index: 0 })
  })

  it('must be understood if it ends with an underscore', () => {
    expect(failureOf(() => parseCbor(encode([{ n: 'a', v: 1, x_: 1 }])))).toEqual({
      code: 'must_understand',
      index: 0,
      field: 'x_',
    })
  })
})

describe('the field of an extension in CBOR', () => {
  it.each([
    ['a byte string', Uint8Array.of(1, 2), Uint8Array.of(1, 2)],
    ['an array', [1, 'x', [true, null]], [1, 'x', [true, null]]],
    [
      'a map',
      new Map<unknown, unknown>([
        ['a', 1],
        [7, 2],
      ]),
      { a: 1, '7': 2 },
    ],
    ['a number beyond 2**53', 2n ** 64n - 1n, 2 ** 64],
    ['undefined, as null', undefined, null],
    ['what a tag marks', new Tagged(1, 1363896240), 1363896240],
  ])('keeps %s', (_, value, kept) => {
    expect(parseCbor(encode([{ n: 'a', v: 1, x: value }]))[0]?.x).toEqual(kept)
  })

  it('keeps arrays and maps without a length', () => {
    expect(parseCbor(record(3, '02 01 61 78 9f 01 bf 61 79 02 ff ff'))[0]?.x).toEqual([1, { y: 2 }])
  })

  it('nests 64 levels and no more', () => {
    const nested = (levels: number) => record(3, `02 01 61 78 ${'81'.repeat(levels)} 01`)

    expect(parseCbor(nested(64))).toHaveLength(1)
    expect(failureOf(() => parseCbor(nested(65)))).toEqual({ code: 'too_deep', index: 0, field: 'x' })
    expect(failureOf(() => parseCbor(record(3, `02 01 61 78 ${'c1'.repeat(65)} 01`)))).toEqual({
      code: 'too_deep',
      index: 0,
      field: 'x',
    })
  })

  it('has no maps with other keys than text and integers', () => {
    expect(failureOf(() => parseCbor(record(3, '02 01 61 78 a1 f5 01')))).toEqual({
      code: 'wrong_type',
      index: 0,
      field: 'x',
    })
  })
})

describe('a pack in CBOR', () => {
  it('may be an array, and its records maps, without a length', () => {
    expect(parseCbor(hex('9f bf 00 61 61 02 01 ff a2 00 61 62 02 02 ff'))).toEqual([
      { n: 'a', v: 1 },
      { n: 'b', v: 2 },
    ])
  })

  it('may say that it is CBOR', () => {
    expect(parseCbor(hex('d9 d9 f7 81 a2 00 61 61 02 01'))).toEqual([{ n: 'a', v: 1 }])
  })

  it('may be a view into a larger buffer', () => {
    const bytes = Buffer.concat([hex('ff ff'), record(2, '08 41 00'), hex('ff')]).subarray(2, -1)

    expect(parseCbor(bytes)).toEqual([{ n: 'a', vd: 'AA' }])
  })

  it.each([
    ['nothing', '', 'invalid_cbor'],
    ['a map', 'a0', 'not_a_pack'],
    ['a number', '01', 'not_a_pack'],
    ['an empty array', '80', 'empty_pack'],
    ['an empty array without a length', '9f ff', 'empty_pack'],
    ['an array that ends too early', '82 a2 00 61 61 02 01', 'invalid_cbor'],
    ['an array of which only the head is there', '81', 'invalid_cbor'],
    ['a record that ends too early', '81 a2 00 61 61 02', 'invalid_cbor'],
    ['bytes behind the pack', '81 a2 00 61 61 02 01 00', 'invalid_cbor'],
    ['a break in an array with a length', '81 ff', 'invalid_record'],
    ['more records than there can be', '9a ff ff ff ff', 'too_many_records'],
    ['a length of eight bytes', '9b ff ff ff ff ff ff ff ff', 'invalid_cbor'],
    ['a head that means nothing', '1c', 'invalid_cbor'],
  ])('is not %s', (_, bytes, code) => {
    expect(failureOf(() => parseCbor(hex(bytes)))).toMatchObject({ code })
  })

  it('keeps to the limits on records and bytes', () => {
    const pack = encode([
      { n: 'a', v: 1 },
      { n: 'b', v: 1 },
    ])

    expect(parseCbor(pack, { maxRecords: 2, maxBytes: pack.length })).toHaveLength(2)
    expect(failureOf(() => parseCbor(pack, { maxRecords: 1 }))).toEqual({ code: 'too_many_records' })
    expect(failureOf(() => parseCbor(pack, { maxBytes: pack.length - 1 }))).toEqual({ code: 'too_large' })
    expect(failureOf(() => parseCbor(hex('9f a1 00 61 61 a1 00 61 61 ff'), { maxRecords: 1 }))).toEqual({
      code: 'too_many_records',
    })
  })

  it('is checked as one in JSON is', () => {
    expect(failureOf(() => parseCbor(record(1, '')))).toEqual({ code: 'missing_value', index: 0 })
    expect(failureOf(() => parseCbor(encode([{ n: 'a', v: 1, vs: 'b' }])))).toMatchObject({
      code: 'several_values',
    })
  })
})
