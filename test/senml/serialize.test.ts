import { decode } from 'cborg'
import { describe, expect, it } from 'vitest'
import { parseCbor, parseJson } from '../../senml/parse.ts'
import type { SenmlRecord } from '../../senml/record.ts'
import { serializeCbor, serializeJson } from '../../senml/serialize.ts'
import { failureOf } from './errors.ts'

describe('writing JSON', () => {
  it('writes the fields in their order, and none that is undefined', () => {
    expect(serializeJson([{ bn: 'a', v: 1, u: undefined, x: [1, { y: undefined }] }])).toBe(
      '[{"bn":"a","v":1,"x":[1,{}]}]',
    )
  })

  it('keeps the sign of zero, in fields and in what extensions hold', () => {
    const pack = [{ n: 'a', v: -0, u: undefined, x: { y: [-0, 'z', null], w: undefined } }]

    expect(serializeJson(pack)).toBe('[{"n":"a","v":-0,"x":{"y":[-0,"z",null]}}]')
  })

  it('writes the bytes of an extension as base64url', () => {
    expect(serializeJson([{ n: 'a', v: 1, x: Uint8Array.of(104, 105) }])).toBe('[{"n":"a","v":1,"x":"aGk"}]')
  })
})

describe('writing CBOR', () => {
  it('uses integers for the labels of RFC 8428 and text for others', () => {
    const base = { bn: 'a', bt: 1, bu: 'b', bv: 2, bs: 3, bver: 4 }
    const record = { ...base, n: 'c', u: 'd', v: 5, s: 6, t: 7, ut: 8, x: 9 }
    const [map] = decode(serializeCbor([record]), { useMaps: true }) as Map<unknown, unknown>[]

    expect([...(map ?? [])]).toEqual([
      [-2, 'a'],
      [-3, 1],
      [-4, 'b'],
      [-5, 2],
      [-6, 3],
      [-1, 4],
      [0, 'c'],
      [1, 'd'],
      [2, 5],
      [5, 6],
      [6, 7],
      [7, 8],
      ['x', 9],
    ])
  })

  it('writes data as bytes', () => {
    const [map] = decode(serializeCbor([{ n: 'a', vd: 'aGk' }]), { useMaps: true }) as Map<unknown, unknown>[]

    expect(map?.get(8)).toEqual(Uint8Array.of(104, 105))
  })

  it.each([
    [0, 1],
    [-0, 3],
    [1.5, 3],
    [100000.5, 5],
    [23.1, 9],
    [2 ** 60, 5],
    [1e300, 9],
    [5e-324, 9],
  ])('takes for %d no more than %i bytes, and loses nothing', (v, bytes) => {
    const frame = serializeCbor([{ n: 'a', vb: true }]).length - 1
    const written = serializeCbor([{ n: 'a', v }])

    expect(written).toHaveLength(frame + bytes)
    expect(parseCbor(written)[0]?.v).toBe(v)
  })

  it('keeps what extensions hold', () => {
    const pack = [
      { n: 'a', v: 1, x: [-0, { y: Uint8Array.of(1), '7': 'z' }, null, false], z: { w: undefined } },
    ]

    expect(parseCbor(serializeCbor(pack))).toEqual([{ ...pack[0], z: {} }])
  })

  it('gives memory of its own', () => {
    const bytes = serializeCbor([{ n: 'a', v: 1 }])

    expect(bytes.constructor).toBe(Uint8Array)
    expect(bytes.buffer.byteLength).toBe(bytes.length)
  })
})

describe('what cannot be written', () => {
  const cyclic: Record<string, unknown> = {}
  cyclic.self = cyclic

  it.each<[string, SenmlRecord[], object]>([
    ['no records', [], { code: 'empty_pack' }],
    ['something else than a record', [null as unknown as SenmlRecord], { code: 'invalid_record', index: 0 }],
    ['a record without a value', [{ n: 'a' }], { code: 'missing_value', index: 0 }],
    ['NaN', [{ n: 'a', v: Number.NaN }], { code: 'not_finite', index: 0, field: 'v' }],
    ['a function', [{ n: 'a', v: 1, x: () => 1 }], { code: 'wrong_type', index: 0, field: 'x' }],
    ['a date', [{ n: 'a', v: 1, x: [new Date(0)] }], { code: 'wrong_type', index: 0, field: 'x' }],
    ['a bigint', [{ n: 'a', v: 1, x: 1n }], { code: 'wrong_type', index: 0, field: 'x' }],
    ['a hole', [{ n: 'a', v: 1, x: [undefined] }], { code: 'wrong_type', index: 0, field: 'x' }],
    ['a circle', [{ n: 'a', v: 1, x: cyclic }], { code: 'too_deep', index: 0, field: 'x' }],
  ])('is an error: %s', (_, pack, failure) => {
    expect(failureOf(() => serializeJson(pack))).toEqual(failure)
    expect(failureOf(() => serializeCbor(pack))).toEqual(failure)
  })

  it('is in JSON an extension without a number', () => {
    const pack = [{ n: 'a', v: 1, x: [Infinity] }]

    expect(failureOf(() => serializeJson(pack))).toEqual({ code: 'not_finite', index: 0, field: 'x' })
    expect(parseCbor(serializeCbor(pack))).toEqual(pack)
  })

  it('is in CBOR an extension with half a surrogate pair, which JSON can escape', () => {
    const pack = [{ n: 'a', v: 1, x: '\ud83d' }]

    expect(failureOf(() => serializeCbor(pack))).toEqual({ code: 'invalid_text', index: 0, field: 'x' })
    expect(parseJson(serializeJson(pack))).toEqual(pack)
  })
})
