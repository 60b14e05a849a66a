import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CborStreamReader } from '../../senml/cbor-stream.ts'
import { compact } from '../../senml/compact.ts'
import { SenmlError } from '../../senml/errors.ts'
import { JsonStreamReader } from '../../senml/json-stream.ts'
import { merge } from '../../senml/merge.ts'
import { normalize } from '../../senml/normalize.ts'
import { parseCbor, parseJson } from '../../senml/parse.ts'
import { resolve } from '../../senml/resolve.ts'
import { serializeCbor, serializeJson } from '../../senml/serialize.ts'
import { split } from '../../senml/split.ts'
import { cuts, now, pack } from './arbitraries.ts'

/** The pieces between the cuts. */
function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)
  return at.slice(1).map((end, i) => bytes.slice(at[i], end))
}

/** Runs what may fail, but only as the library fails. */
function tolerant(run: () => unknown): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof SenmlError)) throw error
  }
}

describe('any valid pack', () => {
  it('comes back from JSON unchanged', () => {
    fc.assert(
      fc.property(pack, (records) => {
        expect(parseJson(serializeJson(records))).toEqual(records)
      }),
    )
  })

  it('comes back from CBOR unchanged', () => {
    fc.assert(
      fc.property(pack, (records) => {
        expect(parseCbor(serializeCbor(records))).toEqual(records)
      }),
    )
  })

  it('resolves to a pack that resolves to itself, at whatever time', () => {
    fc.assert(
      fc.property(pack, now, now, (records, now, later) => {
        const resolved = resolve(records, now)

        expect(resolve(resolved, later)).toEqual(resolved)
        expect(parseJson(serializeJson(resolved))).toEqual(resolved)
      }),
    )
  })

  it('resolves to the same records when it is resolved, compacted and resolved again', () => {
    fc.assert(
      fc.property(pack, now, (records, now) => {
        const resolved = resolve(records, now)

        expect(resolve(parseJson(serializeJson(compact(resolved))), now)).toEqual(resolved)
      }),
    )
  })

  it('says the same when it is compacted with its times relative', () => {
    fc.assert(
      fc.property(pack, (records) => {
        expect(normalize(compact(records))).toEqual(normalize(records))
      }),
    )
  })

  it('gives the same records to the one who splits it and to the one who merges the parts', () => {
    fc.assert(
      fc.property(pack, fc.integer({ min: 1, max: 5 }), (records, maxRecords) => {
        const parts = split(records, { maxRecords })

        expect(parts.every((part) => part.length <= maxRecords)).toBe(true)
        expect(normalize(merge(parts))).toEqual(normalize(records))
      }),
    )
  })

  it('comes out of a stream as out of a pack, wherever the stream is cut', () => {
    fc.assert(
      fc.property(pack, cuts, (records, cuts) => {
        const json = new JsonStreamReader()
        const cbor = new CborStreamReader()

        expect(
          pieces(new TextEncoder().encode(serializeJson(records)), cuts).flatMap((piece) => json.push(piece)),
        ).toEqual(records)
        expect(pieces(serializeCbor(records), cuts).flatMap((piece) => cbor.push(piece))).toEqual(records)
      }),
    )
  })
})

describe('whatever comes in', () => {
  /** Valid bytes with some of them replaced, removed or added. */
  const mutations = fc.array(
    fc.record({ at: fc.nat(), remove: fc.nat({ max: 3 }), insert: fc.uint8Array({ maxLength: 3 }) }),
    { minLength: 1, maxLength: 4 },
  )
  const mutate = (bytes: Uint8Array, edits: { at: number; remove: number; insert: Uint8Array }[]) =>
    edits.reduce((bytes, { at, remove, insert }) => {
      const start = at % (bytes.length + 1)
      return Uint8Array.from([...bytes.slice(0, start), ...insert, ...bytes.slice(start + remove)])
    }, bytes)

  const readEverything = (bytes: Uint8Array) => {
    tolerant(() => resolve(parseJson(bytes, { maxVersion: Infinity }), 1.7e9))
    tolerant(() => resolve(parseCbor(bytes, { maxVersion: Infinity }), 1.7e9))
    tolerant(() => new JsonStreamReader().push(bytes))
    tolerant(() => new CborStreamReader().push(bytes))
  }

  it('gives records or a SenmlError: random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), readEverything), { numRuns: 500 })
  })

  it('gives records or a SenmlError: mutated packs', () => {
    fc.assert(
      fc.property(pack, mutations, (records, edits) => {
        readEverything(mutate(new TextEncoder().encode(serializeJson(records)), edits))
        readEverything(mutate(serializeCbor(records), edits))
      }),
      { numRuns: 500 },
    )
  })

  it('gives records or a SenmlError: any JSON with the labels of SenML', () => {
    const label = fc.constantFrom(...'bn bt bu bv bs bver n u v vs vb vd s t'.split(' '))
    const record = fc.dictionary(label, fc.jsonValue({ maxDepth: 1 }))

    fc.assert(
      fc.property(fc.array(record), (value) =>
        tolerant(() => resolve(parseJson(JSON.stringify(value)), 1.7e9)),
      ),
      { numRuns: 500 },
    )
  })

  it('is read the same by the stream and by the parser, where it is read at all', () => {
    fc.assert(
      fc.property(pack, mutations, (records, edits) => {
        const bytes = mutate(serializeCbor(records), edits)
        tolerant(() => {
          const whole = parseCbor(bytes)
          expect(new CborStreamReader({ maxRecordBytes: Infinity }).push(bytes)).toEqual(whole)
        })
      }),
      { numRuns: 500 },
    )
  })
})
