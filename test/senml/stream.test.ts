import { describe, expect, it } from 'vitest'
import { CborStreamReader } from '../../senml/cbor-stream.ts'
import { JsonStreamReader } from '../../senml/json-stream.ts'
import type { SenmlRecord } from '../../senml/record.ts'
import { CborStreamWriter, JsonStreamWriter } from '../../senml/stream-write.ts'
import { readCborStream, readJsonStream } from '../../senml/stream.ts'
import { failureOf } from './errors.ts'
import { hex } from './hex.ts'
import { rfcPacks, stream } from './rfc-packs.ts'

const records: SenmlRecord[] = [
  { bn: 'urn:dev:ow:10e2073a01080063', bt: 1320067464, bu: '%RH', v: 21.2, 'x{': '}"\\[]ü😀' },
  { t: 10, v: 21.3, x: { y: [{}, { z: '\\"}' }] } },
  { t: 20, vd: 'aGkgCg' },
]

function written(writer: JsonStreamWriter): string {
  return records.map((record) => writer.write(record)).join('') + writer.end()
}

function cborOf(pack: readonly SenmlRecord[]): Uint8Array {
  const writer = new CborStreamWriter()
  return Uint8Array.from([...pack.flatMap((record) => [...writer.write(record)]), ...writer.end()])
}

async function all(stream: AsyncIterable<SenmlRecord>): Promise<SenmlRecord[]> {
  const read: SenmlRecord[] = []
  for await (const record of stream) read.push(record)
  return read
}

/** The bytes in pieces of a length. */
function* pieces(bytes: Uint8Array, length: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.slice(at, at + length)
}

describe('a stream in JSON', () => {
  const bytes = new TextEncoder().encode(written(new JsonStreamWriter()))

  it('is an array when put together', () => {
    expect(JSON.parse(new TextDecoder().decode(bytes))).toEqual(records)
    expect(new JsonStreamWriter().end()).toBe('[]')
  })

  it.each([1, 2, 3, 7, 64, 10_000])('is read whole from pieces of %i bytes', async (length) => {
    expect(await all(readJsonStream(pieces(bytes, length)))).toEqual(records)
  })

  it('gives a record as soon as its closing brace is in', () => {
    const reader = new JsonStreamReader()

    expect(reader.push(' [ {"n":"a","v":1')).toEqual([])
    expect(reader.push('}')).toEqual([{ n: 'a', v: 1 }])
    expect(reader.push(' , {"n":"b","v":2},{"n":"c","v":3}')).toEqual([
      { n: 'b', v: 2 },
      { n: 'c', v: 3 },
    ])
  })

  it('need not end', async () => {
    expect(await all(readJsonStream([stream.json.replace(/\s*\]\s*$/, ',')]))).toEqual(
      JSON.parse(stream.json),
    )
  })

  it.each([
    ['is no array', '{"n":"a"}', { code: 'not_a_pack' }],
    ['holds a number', '[1', { code: 'invalid_record', index: 0 }],
    ['holds nothing where a record should be', '[{"n":"a","v":1},]', { code: 'invalid_record', index: 1 }],
    ['lacks a comma', '[{"n":"a","v":1}{', { code: 'invalid_json', index: 1 }],
    ['goes on behind its end', '[{"n":"a","v":1}] x', { code: 'invalid_json', index: 1 }],
    ['holds a record that is not JSON', '[{"n":"a","v":01}]', { code: 'invalid_json', index: 0 }],
    [
      'holds a record that is not valid',
      '[{"n":"a","v":1},{"v":1},{"n":"b"}]',
      { code: 'empty_name', index: 1, field: 'n' },
    ],
    [
      'changes its version',
      '[{"n":"a","v":1},{"bver":5,"n":"b","v":1}]',
      { code: 'mixed_versions', index: 1, field: 'bver' },
    ],
    ['ends within a record', '[{"n":"a","v":1},{"n"', { code: 'invalid_json', index: 1 }],
    ['has no records', '[]', { code: 'empty_pack' }],
    ['is empty', '', { code: 'empty_pack' }],
  ])('is an error where it %s', (_, text, failure) => {
    const reader = new JsonStreamReader()
    const read = () => {
      for (const character of text) reader.push(character)
      reader.end()
    }

    expect(failureOf(read)).toEqual(failure)
  })

  it('is an error where it is not UTF-8, or is cut within a character', () => {
    expect(failureOf(() => new JsonStreamReader().push(Uint8Array.of(0x5b, 0xff)))).toEqual({
      code: 'invalid_json',
      index: 0,
    })
    const reader = new JsonStreamReader()
    reader.push(new TextEncoder().encode('[{"n":"a","vs":"é').slice(0, -1))

    expect(failureOf(() => reader.end())).toEqual({ code: 'invalid_json', index: 0 })
  })

  it('keeps each record to the limit on its bytes, before it is complete', () => {
    const reader = () => new JsonStreamReader({ maxRecordBytes: 20 })

    expect(reader().push('[{"n":"a","vs":"123"}')).toHaveLength(1)
    expect(failureOf(() => reader().push('[{"n":"a","vs":"1234"}'))).toEqual({ code: 'too_large', index: 0 })
    expect(failureOf(() => reader().push('[{"n":"a","vs":"é12"}'))).toEqual({ code: 'too_large', index: 0 })
    expect(failureOf(() => reader().push('[{"n":"a","vs":"12345678'))).toEqual({
      code: 'too_large',
      index: 0,
    })
  })
})

describe('a stream in CBOR', () => {
  const bytes = cborOf(records)

  it('is an array without a length', () => {
    expect([bytes[0], bytes.at(-1)]).toEqual([0x9f, 0xff])
    expect(new CborStreamWriter().end()).toEqual(hex('9f ff'))
  })

  it.each([1, 2, 3, 7, 64, 10_000])('is read whole from pieces of %i bytes', async (length) => {
    expect(await all(readCborStream(pieces(bytes, length)))).toEqual(records)
  })

  it.each(rfcPacks)('carries the example of RFC 8428, $title', async ({ json }) => {
    const pack = JSON.parse(json) as SenmlRecord[]

    expect(await all(readCborStream(pieces(cborOf(pack), 5)))).toEqual(pack)
  })

  it('gives a record as soon as its last byte is in', () => {
    const reader = new CborStreamReader()

    expect(reader.push(hex('9f a2 00 61 61 02'))).toEqual([])
    expect(reader.push(hex('01'))).toEqual([{ n: 'a', v: 1 }])
  })

  it('copies what it has to keep, so that a chunk may be used again', () => {
    const reader = new CborStreamReader()
    const chunk = hex('9f a2 00 61 61 02')
    reader.push(chunk)
    chunk.fill(0)

    expect(reader.push(hex('01'))).toEqual([{ n: 'a', v: 1 }])
  })

  it.each([
    ['a length', '81 a2 00 61 61 02 01'],
    ['a length of a byte', '98 01 a2 00 61 61 02 01'],
    ['a length of two bytes', '99 00 01 a2 00 61 61 02 01'],
    ['a tag that says it is CBOR', 'd9 d9 f7 9f a2 00 61 61 02 01 ff'],
    ['no end', '9f a2 00 61 61 02 01'],
    ['a map without a length', '9f bf 00 61 61 02 01 ff ff'],
  ])('may have %s', async (_, dump) => {
    expect(await all(readCborStream(pieces(hex(dump), 1)))).toEqual([{ n: 'a', v: 1 }])
  })

  it('carries heads of every size, and everything an extension may hold', async () => {
    const dump = `9f a6 00 61 61 02 c4 82 21 19 6a b3
      61 61 9f 01 bf 61 62 80 ff a0 ff 61 62 5a 00 00 00 02 01 02 61 63 1b 00 00 00 01 00 00 00 00 61 64 78 01 7a ff`

    expect(await all(readCborStream(pieces(hex(dump), 1)))).toEqual([
      { n: 'a', v: 273.15, a: [1, { b: [] }, {}], b: Uint8Array.of(1, 2), c: 2 ** 32, d: 'z' },
    ])
  })

  it.each([
    ['is no array', 'a0', { code: 'not_a_pack' }],
    ['has a head that means nothing', '9c', { code: 'not_a_pack' }],
    ['holds a number', '9f 01', { code: 'invalid_record', index: 0 }],
    ['holds a break that ends nothing', '81 ff', { code: 'invalid_cbor' }],
    ['holds a break in a map with a length', '9f a1 ff', { code: 'invalid_cbor' }],
    ['holds text without a length', '9f a1 7f', { code: 'invalid_cbor' }],
    ['nests too deep', `9f a1 ${'81'.repeat(100)}`, { code: 'too_deep' }],
    [
      'holds a record that is not valid',
      '9f a2 00 61 61 02 01 a1 00 61 62',
      { code: 'missing_value', index: 1 },
    ],
    ['goes on behind its end', '81 a2 00 61 61 02 01 00', { code: 'invalid_cbor', index: 1 }],
    ['ends within a record', '9f a2 00 61', { code: 'invalid_cbor', index: 0 }],
    ['ends before its length', '82 a2 00 61 61 02 01', { code: 'invalid_cbor', index: 1 }],
    ['has no records', '9f ff', { code: 'empty_pack' }],
    ['is empty', '', { code: 'empty_pack' }],
  ])('is an error where it %s', (_, dump, failure) => {
    const reader = new CborStreamReader()
    const read = () => {
      for (const piece of pieces(hex(dump), 1)) reader.push(piece)
      reader.end()
    }

    expect(failureOf(read)).toEqual(failure)
  })

  it('keeps each record to the limit on its bytes, before it is complete', () => {
    const reader = () => new CborStreamReader({ maxRecordBytes: 10 })

    expect(reader().push(hex('9f a2 00 61 61 03 64 31 32 33 34'))).toHaveLength(1)
    expect(failureOf(() => reader().push(hex('9f a2 00 61 61 03 65 31 32 33 34 35')))).toMatchObject({
      code: 'too_large',
    })
    expect(failureOf(() => reader().push(hex('9f a2 00 61 61 03 78 ff 31 32 33 34')))).toMatchObject({
      code: 'too_large',
    })
  })
})

describe('a stream that goes wrong', () => {
  it('gives the records that arrived whole, and then the same error for good', () => {
    const reader = new JsonStreamReader()

    expect(reader.push('[{"n":"a","v":1},7')).toEqual([{ n: 'a', v: 1 }])
    expect(failureOf(() => reader.push(','))).toEqual({ code: 'invalid_record', index: 1 })
    expect(failureOf(() => reader.end())).toEqual({ code: 'invalid_record', index: 1 })
  })

  it('gives them one by one where they are waited for', async () => {
    const read: SenmlRecord[] = []
    const reading = (async () => {
      for await (const record of readCborStream([hex('9f a2 00 61 61 02 01 01')])) read.push(record)
    })()

    await expect(reading).rejects.toMatchObject({ code: 'invalid_record', index: 1 })
    expect(read).toEqual([{ n: 'a', v: 1 }])
  })
})

describe('writing a stream', () => {
  it.each([new JsonStreamWriter(), new CborStreamWriter()])(
    'refuses what is not valid behind the records before',
    (writer) => {
      writer.write({ bn: 'a', v: 1 })

      expect(failureOf(() => writer.write({ bver: 5, v: 1 }))).toEqual({
        code: 'mixed_versions',
        index: 1,
        field: 'bver',
      })
    },
  )
})
