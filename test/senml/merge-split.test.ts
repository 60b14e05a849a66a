import { describe, expect, it } from 'vitest'
import { merge } from '../../senml/merge.ts'
import { normalize } from '../../senml/normalize.ts'
import { parseJson } from '../../senml/parse.ts'
import type { SenmlRecord } from '../../senml/record.ts'
import { serializeCbor, serializeJson } from '../../senml/serialize.ts'
import { split } from '../../senml/split.ts'
import { failureOf } from './errors.ts'
import { collection, multipleMeasurements, thermostat } from './rfc-packs.ts'

describe('merging packs', () => {
  it('gives one pack with the records of all, whose base fields do not meet', () => {
    const packs = [collection, thermostat, multipleMeasurements].map(({ json }) => parseJson(json))

    expect(normalize(merge(packs))).toEqual(packs.flatMap(normalize))
  })

  it('gives nothing where nothing is measured', () => {
    expect(merge([])).toEqual([])
  })

  it('refuses packs of different versions', () => {
    const packs = [[{ n: 'a', v: 1 }], [{ bver: 5, n: 'a', v: 1 }]]

    expect(failureOf(() => merge(packs))).toEqual({ code: 'mixed_versions', index: 1, field: 'bver' })
    expect(merge([[{ bver: 5, n: 'a', v: 1 }], [{ bver: 5, n: 'b', v: 1 }]])).toHaveLength(2)
    expect(merge([[{ bver: 10, n: 'a', v: 1 }], [{ n: 'b', v: 1 }]])).toHaveLength(2)
  })
})

describe('splitting a pack', () => {
  const pack: SenmlRecord[] = Array.from({ length: 100 }, (_, i) => ({
    n: `urn:dev:ow:10e2073a01080063:${i % 4}`,
    bver: 5,
    t: 1276020076 + i,
    ...(i % 10 === 0 ? { vs: 'ü€😀' } : { u: 'Cel', v: 20 + i / 10 }),
  }))

  it('by records keeps to their number, and loses none', () => {
    const packs = split(pack, { maxRecords: 30 })

    expect(packs.map(({ length }) => length)).toEqual([30, 30, 30, 10])
    expect(packs.flatMap(normalize)).toEqual(normalize(pack))
  })

  it.each([
    ['json', (records: SenmlRecord[]) => new TextEncoder().encode(serializeJson(records)).length],
    ['cbor', (records: SenmlRecord[]) => serializeCbor(records).length],
  ] as const)('by bytes of %s keeps to them, and loses no record', (encoding, sizeOf) => {
    for (const maxBytes of [120, 256, 1000, 100_000]) {
      const packs = split(pack, { maxBytes, encoding })

      expect(Math.max(...packs.map(sizeOf))).toBeLessThanOrEqual(maxBytes)
      expect(packs.flatMap(normalize)).toEqual(normalize(pack))
    }
  })

  it('leaves a pack whole that keeps to the limits', () => {
    expect(split(pack)).toHaveLength(1)
    expect(split([])).toEqual([])
  })

  it('is an error where a single record is too large', () => {
    const records = [
      { n: 'a', v: 1 },
      { n: 'b', vs: 'x'.repeat(100) },
    ]

    expect(failureOf(() => split(records, { maxBytes: 100 }))).toEqual({ code: 'too_large', index: 1 })
  })
})
