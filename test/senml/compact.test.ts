import { describe, expect, it } from 'vitest'
import { compact } from '../../senml/compact.ts'
import { normalize } from '../../senml/normalize.ts'
import { parseJson } from '../../senml/parse.ts'
import { resolve } from '../../senml/resolve.ts'
import { serializeJson } from '../../senml/serialize.ts'
import { pastSeconds, rfcPacks } from './rfc-packs.ts'

describe.each(rfcPacks)('compacting what RFC 8428 resolves, $title', ({ json, now }) => {
  const resolved = resolve(parseJson(json), now)

  it('gives a valid pack that says the same and is no larger', () => {
    const packed = compact(resolved)

    expect(resolve(parseJson(serializeJson(packed)), now)).toEqual(resolved)
    expect(serializeJson(packed).length).toBeLessThanOrEqual(serializeJson(resolved).length)
  })
})

describe('compacting', () => {
  it('finds the base fields that the RFC uses', () => {
    expect(compact(resolve(parseJson(pastSeconds.json), pastSeconds.now))).toEqual([
      {
        bn: 'urn:dev:ow:10e2073a0108006:',
        bt: 1276020076.001,
        bver: 5,
        bu: 'A',
        n: 'voltage',
        u: 'V',
        v: 120.1,
      },
      { n: 'current', t: -5, v: 1.2 },
      { n: 'current', t: -4, v: 1.3 },
      { n: 'current', t: -3, v: 1.4 },
      { n: 'current', t: -2, v: 1.5 },
      { n: 'current', t: -1, v: 1.6 },
      { n: 'current', v: 1.7 },
    ])
  })

  it('leaves a pack of one record as it is', () => {
    expect(compact([{ n: 'a', u: 'V', t: 1276020076, v: 1 }])).toEqual([
      { n: 'a', u: 'V', t: 1276020076, v: 1 },
    ])
  })

  it('makes nothing of nothing', () => {
    expect(compact([])).toEqual([])
    expect(compact([{ bn: 'a' }])).toEqual([])
  })

  it('starts another base name where another device begins, and ends one where none follows', () => {
    const names = [
      'gateway',
      'urn:dev:mac:0024befffe804ff1/temperature',
      'urn:dev:mac:0024befffe804ff1/humidity',
      'urn:dev:mac:ffffffffffffffff/temperature',
      'urn:dev:mac:ffffffffffffffff/humidity',
      'x',
      'y',
    ]
    const packed = compact(names.map((n) => ({ n, v: 1 })))

    expect(packed.map(({ bn }) => bn)).toEqual([
      undefined,
      'urn:dev:mac:0024befffe804ff1/',
      undefined,
      'urn:dev:mac:ffffffffffffffff/',
      undefined,
      '',
      undefined,
    ])
    expect(normalize(packed).map(({ n }) => n)).toEqual(names)
  })

  it('leaves the name out where all of them are one', () => {
    const packed = compact(Array.from({ length: 3 }, (_, i) => ({ n: 'urn:dev:ow:10e2073a01080063', v: i })))

    expect(packed.map(({ n }) => n)).toEqual([undefined, undefined, undefined])
  })

  it('starts a base unit behind the last record without a unit, which would get it otherwise', () => {
    const packed = compact([
      { n: 'a', u: 'V', v: 1 },
      { n: 'b', vs: 'x' },
      { n: 'c', u: 'V', v: 1 },
      { n: 'd', u: 'A', v: 1 },
      { n: 'e', u: 'V', v: 1 },
    ])

    expect(packed.map(({ bu, u }) => [bu, u])).toEqual([
      [undefined, 'V'],
      [undefined, undefined],
      ['V', undefined],
      [undefined, 'A'],
      [undefined, undefined],
    ])
  })

  it('keeps relative and absolute times apart', () => {
    const records = [-2, -1, 1276020076, 1276020077, 0, -1, 1276020078].map((t) => ({ n: 'a', v: 1, t }))
    const packed = compact(records)

    expect(packed.map(({ bt, t }) => [bt, t])).toEqual([
      [undefined, -2],
      [undefined, -1],
      [1276020076, undefined],
      [undefined, 1],
      [0, undefined],
      [undefined, -1],
      [undefined, 1276020078],
    ])
    expect(normalize(packed)).toEqual(records)
  })

  it('starts another base time where the difference is no double', () => {
    const times = [1e15 + 0.125, 1e9 + 0.1, 4e15]
    const packed = compact(times.map((t) => ({ n: 'a', v: 1, t })))

    expect(normalize(packed).map(({ t }) => t)).toEqual(times)
  })

  it('takes a large number out of counters, but only where nothing is lost', () => {
    const counters = [9000000001, 9000000005, 9000000120].map((v) => ({ n: 'a', v, s: v }))
    const packed = compact(counters)

    expect(packed.map(({ bv, v, bs, s }) => [bv, v, bs, s])).toEqual([
      [9000000001, 0, 9000000001, 0],
      [undefined, 4, undefined, 4],
      [undefined, 119, undefined, 119],
    ])
    expect(
      compact([
        { n: 'a', v: 1e17 },
        { n: 'a', v: 0.1 },
        { n: 'a', v: 1e17 },
      ]).some(({ bv }) => bv),
    ).toBe(false)
    expect(compact([...counters, { n: 'a', v: -0 }]).some(({ bv }) => bv)).toBe(false)
  })

  it('gives no base sum to records that have no sum', () => {
    const packed = compact([
      { n: 'a', s: 9000000001 },
      { n: 'a', s: 9000000002 },
      { n: 'a', v: 1 },
    ])

    expect(packed.some(({ bs }) => bs !== undefined)).toBe(false)
  })

  it('changes nothing in what it is given', () => {
    const records = resolve(parseJson(pastSeconds.json), pastSeconds.now)
    const before = structuredClone(records)
    compact(records)

    expect(records).toEqual(before)
  })
})
