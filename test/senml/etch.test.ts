import { describe, expect, it } from 'vitest'
import { compact } from '../../senml/compact.ts'
import { applyPatch, fetchRecords } from '../../senml/etch-apply.ts'
import {
  parseFetchCbor,
  parseFetchJson,
  parsePatchCbor,
  parsePatchJson,
  serializeEtchCbor,
  serializeEtchJson,
} from '../../senml/etch-codec.ts'
import { fetchPackOf, patchPackOf } from '../../senml/etch.ts'
import { parseJson } from '../../senml/parse.ts'
import { failureOf } from './errors.ts'

const NOW = 1_700_000_000

/** The example of RFC 8790 section 1. */
const light = parseJson(`[
  {"bn":"2001:db8::2/3311/0/", "n":"5850", "vb":true},
  {"n":"5851", "v":42},
  {"n":"5750", "vs":"Ceiling light"}
]`)
const LIGHT = '2001:db8::2/3311/0/'

describe('the Fetch Pack of RFC 8790 section 3.1', () => {
  it('selects two of the three resources', () => {
    const pack = parseFetchJson('[{"bn":"2001:db8::2/3311/0/","n":"5850"},{"n":"5851"}]')

    expect(fetchRecords(light, pack, NOW)).toEqual([
      { n: `${LIGHT}5850`, t: NOW, vb: true },
      { n: `${LIGHT}5851`, t: NOW, v: 42 },
    ])
  })

  it('selects one of several readings by its time', () => {
    const readings = parseJson(`[
      {"bn":"2001:db8::2/3311/0/5850","t":1.276020076e+09,"vb":true},
      {"t":1.276020091e+09,"vb":false}
    ]`)
    const pack = parseFetchJson('[{"bn":"2001:db8::2/3311/0/","n":"5850","t":1.276020091e+09}]')

    expect(fetchRecords(readings, pack, NOW)).toEqual([{ n: `${LIGHT}5850`, t: 1.276020091e9, vb: false }])
  })
})

describe('a Fetch Pack', () => {
  const target = parseJson(`[
    {"bn":"a","bt":1276020000,"bu":"V","v":1},
    {"t":10,"v":2},
    {"u":"A","v":3},
    {"bn":"b","v":4}
  ]`)
  const values = (fetch: unknown) => fetchRecords(target, fetchPackOf(fetch), NOW).map(({ v }) => v)

  it.each([
    ['the name alone', [{ n: 'a' }], [1, 2, 3]],
    ['name and time', [{ n: 'a', t: 1276020000 }], [1, 3]],
    ['name and base time', [{ bt: 1276020010, n: 'a' }], [2]],
    ['name and unit', [{ n: 'a', u: 'V' }], [1, 2]],
    ['name and base unit', [{ bu: 'A', n: 'a' }], [3]],
    ['all of them', [{ n: 'a', u: 'V', t: 1276020010 }], [2]],
    ['nothing that is there', [{ n: 'c' }, { n: 'a', u: 'W' }], []],
  ])('selects by %s', (_, fetch, selected) => {
    expect(values(fetch)).toEqual(selected)
  })

  it('gives each record once and in its order, however many ask for it', () => {
    expect(values([{ n: 'b' }, { n: 'a', u: 'A' }, { n: 'a' }, { n: 'b' }])).toEqual([1, 2, 3, 4])
  })

  it('takes relative times from the same now as the target', () => {
    const readings = parseJson('[{"bn":"a","t":-5,"v":1},{"v":2}]')

    expect(fetchRecords(readings, fetchPackOf([{ n: 'a', t: -5 }]), NOW)).toEqual([
      { n: 'a', t: NOW - 5, v: 1 },
    ])
  })

  it.each(['v', 'vs', 's', 'ut', 'bv', 'bver', 'foo', 'foo_'])('has no field %s', (field) => {
    expect(failureOf(() => fetchPackOf([{ n: 'a' }, { n: 'a', [field]: 1 }]))).toEqual({
      code: 'forbidden_field',
      index: 1,
      field,
    })
  })

  it('has a name in each record, its own or a base name, and a valid one', () => {
    const wrong = (code: string, index: number) => ({ code, index, field: 'n' })

    expect(fetchPackOf([{ bn: 'a', u: undefined }])).toHaveLength(1)
    expect(failureOf(() => fetchPackOf([{ bn: 'a' }, { t: 5 }]))).toEqual(wrong('empty_name', 1))
    expect(failureOf(() => fetchPackOf([{ bn: '', n: '' }]))).toEqual(wrong('empty_name', 0))
    expect(failureOf(() => fetchPackOf([{ n: 'ä' }]))).toEqual(wrong('invalid_name', 0))
  })

  it('has one record or more, of the types a pack has', () => {
    expect(failureOf(() => fetchPackOf([]))).toEqual({ code: 'empty_pack' })
    expect(failureOf(() => fetchPackOf([{ n: 'a', t: 'x' }]))).toEqual({
      code: 'wrong_type',
      index: 0,
      field: 't',
    })
  })
})

describe('the Patch Packs of RFC 8790 section 3.2', () => {
  it('set the values of two records', () => {
    const pack = parsePatchJson('[{"bn":"2001:db8::2/3311/0/","n":"5850","vb":false},{"n":"5851","v":10}]')

    expect(compact(applyPatch(light, pack, NOW))).toEqual([
      { bn: `${LIGHT}5`, n: '850', vb: false },
      { n: '851', v: 10 },
      { n: '750', vs: 'Ceiling light' },
    ])
  })

  it('remove two records', () => {
    const pack = parsePatchJson('[{"bn":"2001:db8::2/3311/0/","n":"5850","v":null},{"n":"5851","v":null}]')

    expect(applyPatch(light, pack, NOW)).toEqual([{ n: `${LIGHT}5750`, vs: 'Ceiling light' }])
  })
})

describe('a Patch Pack', () => {
  const target = parseJson('[{"n":"a","v":1},{"n":"a","t":1276020000,"v":2},{"n":"a","u":"V","v":3}]')
  const patched = (patch: unknown) => applyPatch(target, patchPackOf(patch), NOW)

  it('meets the record with the same name, time and unit, or without them', () => {
    expect(
      patched([
        { n: 'a', v: 10 },
        { n: 'a', u: 'V', v: 30 },
      ]),
    ).toEqual([
      { n: 'a', v: 10 },
      { n: 'a', t: 1276020000, v: 2 },
      { n: 'a', u: 'V', v: 30 },
    ])
    expect(patched([{ bt: 1276020000, n: 'a', vs: 'x', foo_: 1 }])[1]).toEqual({
      n: 'a',
      t: 1276020000,
      vs: 'x',
      foo_: 1,
    })
  })

  it('adds what is not there, with all its fields', () => {
    expect(
      patched([
        { n: 'b', v: 1, ut: 60, foo: 'bar' },
        { n: 'a', u: 'A', s: 1 },
      ]).slice(3),
    ).toEqual([
      { n: 'b', v: 1, ut: 60, foo: 'bar' },
      { n: 'a', u: 'A', s: 1 },
    ])
  })

  it('is applied in its order', () => {
    expect(
      patched([
        { n: 'b', v: 1 },
        { n: 'b', v: null },
        { n: 'b', v: 2 },
        { n: 'b', v: 3 },
      ]).slice(3),
    ).toEqual([{ n: 'b', v: 3 }])
  })

  it('gives the same when it is applied again', () => {
    const patch = patchPackOf([
      { n: 'b', v: 1 },
      { n: 'a', v: null },
      { n: 'a', u: 'V', v: 5 },
    ])
    const once = applyPatch(target, patch, NOW)

    expect(applyPatch(once, patch, NOW)).toEqual(once)
  })

  it('removes nothing where nothing matches', () => {
    expect(patched([{ n: 'c', v: null }])).toHaveLength(3)
  })

  it('hands the base fields of a removed record on', () => {
    expect(
      patched([
        { bn: 'a', bu: 'V', v: null },
        { v: 7, u: 'W' },
      ]).at(-1),
    ).toEqual({ n: 'a', u: 'W', v: 7 })
  })

  it('keeps out records that measure nothing, whatever their base time', () => {
    const odd = parseJson('[{"bn":"a","bt":-1e12},{"bt":1276020000,"v":1}]')

    expect(applyPatch(odd, patchPackOf([{ n: 'b', v: 1 }]), NOW)).toEqual([
      { n: 'a', t: 1276020000, v: 1 },
      { n: 'b', v: 1 },
    ])
  })

  it('is an error where a record matches several, and changes nothing', () => {
    const twice = parseJson('[{"n":"a","v":1},{"n":"a","v":2},{"bn":"b"},{"v":3}]')
    const patch = patchPackOf([
      { n: 'b', v: 4 },
      { n: 'a', v: 5 },
    ])

    expect(failureOf(() => applyPatch(twice, patch, NOW))).toEqual({ code: 'ambiguous_target', index: 1 })
    expect(twice[3]).toEqual({ v: 3 })
  })

  it.each([
    ['no value', { n: 'a' }, { code: 'missing_value', index: 0 }],
    ['base fields alone', { bn: 'a' }, { code: 'missing_value', index: 0 }],
    [
      'two values, one of them null',
      { n: 'a', v: null, vs: 'x' },
      { code: 'several_values', index: 0, field: 'vs' },
    ],
    ['null in another field', { n: 'a', vs: null }, { code: 'wrong_type', index: 0, field: 'vs' }],
    ['no name', { v: 1 }, { code: 'empty_name', index: 0, field: 'n' }],
  ])('has no record with %s', (_, record, failure) => {
    expect(failureOf(() => patchPackOf([record]))).toEqual(failure)
  })
})

describe('Fetch and Patch Packs on the wire', () => {
  const fetch = [
    { bn: 'a', bt: 5, bu: 'V' },
    { n: 'b', t: -1, u: 'A' },
  ]
  const patch = [
    { bn: 'a', v: null },
    { n: 'b', vd: 'aGk', x: -0 },
  ]

  it('come back from JSON and CBOR unchanged', () => {
    expect(parseFetchJson(serializeEtchJson(fetch))).toEqual(fetch)
    expect(parseFetchCbor(serializeEtchCbor(fetch))).toEqual(fetch)
    expect(parsePatchJson(serializeEtchJson(patch))).toEqual(patch)
    expect(parsePatchCbor(serializeEtchCbor(patch))).toEqual(patch)
  })

  it('keep to the limits', () => {
    expect(failureOf(() => parseFetchJson(serializeEtchJson(fetch), { maxRecords: 1 }))).toEqual({
      code: 'too_many_records',
    })
    expect(failureOf(() => parseFetchCbor(serializeEtchCbor(fetch), { maxBytes: 5 }))).toEqual({
      code: 'too_large',
    })
    expect(failureOf(() => parsePatchCbor(serializeEtchCbor(patch), { maxBytes: 5 }))).toEqual({
      code: 'too_large',
    })
  })

  it('are not written with what has no form', () => {
    expect(failureOf(() => serializeEtchJson([{ n: 'a', v: 1, x: 1n }]))).toEqual({
      code: 'wrong_type',
      index: 0,
      field: 'x',
    })
  })
})
