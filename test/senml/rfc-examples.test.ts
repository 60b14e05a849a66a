import { describe, expect, it } from 'vitest'
import { parseCbor, parseJson } from '../../senml/parse.ts'
import { resolve } from '../../senml/resolve.ts'
import { serializeCbor, serializeJson } from '../../senml/serialize.ts'
import { hex } from './hex.ts'
import { multipleMeasurements, pastSeconds, rfcPacks } from './rfc-packs.ts'

describe.each(rfcPacks)('the example of RFC 8428, $title', ({ json, now, resolved }) => {
  it('is read as it is written', () => {
    expect(parseJson(json)).toEqual(JSON.parse(json))
  })

  it('resolves to records that stand alone', () => {
    expect(resolve(parseJson(json), now)).toEqual(resolved)
  })

  it('comes back from JSON and from CBOR unchanged', () => {
    const records = parseJson(json)

    expect(parseJson(serializeJson(records))).toEqual(records)
    expect(parseCbor(serializeCbor(records))).toEqual(records)
  })
})

describe('the CBOR example of RFC 8428 section 6', () => {
  const bytes = hex(`
    87 a7 21 78 1b 75 72 6e 3a 64 65 76 3a 6f 77 3a
    31 30 65 32 30 37 33 61 30 31 30 38 30 30 36 3a
    22 fb 41 d3 03 a1 5b 00 10 62 23 61 41 20 05 00
    67 76 6f 6c 74 61 67 65 01 61 56 02 fb 40 5e 06
    66 66 66 66 66 a3 00 67 63 75 72 72 65 6e 74 06
    24 02 fb 3f f3 33 33 33 33 33 33 a3 00 67 63 75
    72 72 65 6e 74 06 23 02 fb 3f f4 cc cc cc cc cc
    cd a3 00 67 63 75 72 72 65 6e 74 06 22 02 fb 3f
    f6 66 66 66 66 66 66 a3 00 67 63 75 72 72 65 6e
    74 06 21 02 f9 3e 00 a3 00 67 63 75 72 72 65 6e
    74 06 20 02 fb 3f f9 99 99 99 99 99 9a a3 00 67
    63 75 72 72 65 6e 74 06 00 02 fb 3f fb 33 33 33
    33 33 33`)

  it('is the pack of section 5.1.2, but for a time of 0 that JSON leaves out', () => {
    const pack = JSON.parse(pastSeconds.json) as Record<string, unknown>[]
    pack[6] = { ...pack[6], t: 0 }

    expect(parseCbor(bytes)).toEqual(pack)
  })

  it('resolves to the same records as that pack', () => {
    expect(resolve(parseCbor(bytes), pastSeconds.now)).toEqual(pastSeconds.resolved)
  })

  it('is what serializing writes, byte for byte', () => {
    expect(serializeCbor(parseCbor(bytes))).toEqual(bytes)
  })
})

describe('the CBOR form of the example of RFC 8428 section 5.1.3', () => {
  const bytes = hex(`
    8d a5 21 78 1b 75 72 6e 3a 64 65 76 3a 6f 77 3a 31 30 65 32 30 37 33 61 30 31 30 38 30 30 36 33
    22 1a 4e ae a1 88 23 63 25 52 48 02 f9 4d 00 06 00
    a3 02 fb 40 38 4e 63 c7 4f b5 4a 01 63 6c 6f 6e 06 00
    a3 02 fb 40 4e 0a 31 f8 a0 90 2e 01 63 6c 61 74 06 00
    a2 02 fb 40 34 4c cc cc cc cc cd 06 18 3c
    a3 02 fb 40 38 4e 64 6f 15 61 91 01 63 6c 6f 6e 06 18 3c
    a3 02 fb 40 4e 0a 31 f8 a0 90 2e 01 63 6c 61 74 06 18 3c
    a2 02 fb 40 34 b3 33 33 33 33 33 06 18 78
    a3 02 fb 40 38 4e 65 16 db 0d d8 01 63 6c 6f 6e 06 18 78
    a3 02 fb 40 4e 0a 32 4c 83 66 51 01 63 6c 61 74 06 18 78
    a3 02 f9 56 20 01 63 25 45 4c 06 18 96
    a2 02 fb 40 35 33 33 33 33 33 33 06 18 b4
    a3 02 fb 40 38 4e 68 5d b7 6b 3c 01 63 6c 6f 6e 06 18 b4
    a3 02 fb 40 4e 0a 32 a0 66 3c 75 01 63 6c 61 74 06 18 b4`)

  it('resolves to what section 5.1.4 prints', () => {
    expect(bytes).toHaveLength(254) // Table 3.
    expect(resolve(parseCbor(bytes), multipleMeasurements.now)).toEqual(multipleMeasurements.resolved)
  })
})
