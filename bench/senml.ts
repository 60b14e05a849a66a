import { serializeCbor, serializeJson } from '../senml/serialize.ts'
import { parseCbor, parseJson } from '../senml/parse.ts'
import type { SenmlRecord } from '../senml/record.ts'
import { resolve } from '../senml/resolve.ts'
import { measure } from './support/measure.ts'
import { report, type Row } from './support/report.ts'

/*
 * Parse, validate and resolve, against JSON.parse alone. The bar is half of its speed for packs of 10 and 100. CBOR
 * has no JSON.parse to be held against, so it is held against that of the same pack in JSON.
 */

const NOW = 1_700_000_000
const PHENOMENA = [
  ['temperature', 'Cel'],
  ['humidity', '%RH'],
  ['voltage', 'V'],
  ['current', 'A'],
] as const

/** What a device sends that samples four things and sends them together. */
function pack(size: number): SenmlRecord[] {
  return Array.from({ length: size }, (_, i) => {
    const [n, u] = PHENOMENA[i % PHENOMENA.length] ?? PHENOMENA[0]
    const record = { n, u, t: -i, v: Math.round(2000 + i * 37.7) / 100 }
    return i === 0 ? { bn: 'urn:dev:ow:10e2073a01080063:', bt: 1320067464.5, ...record } : record
  })
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

const rows: Row[] = [1, 10, 100].flatMap((size) => {
  const text = serializeJson(pack(size))
  const json = new TextEncoder().encode(text)
  const cbor = serializeCbor(pack(size))
  const ns = measure({
    // Both baselines: over bytes, as they come from the network, and over text that is decoded already.
    baseline: () => JSON.parse(utf8.decode(json)) as unknown,
    baselineText: () => JSON.parse(text) as unknown,
    json: () => resolve(parseJson(json), NOW),
    jsonText: () => resolve(parseJson(text), NOW),
    cbor: () => resolve(parseCbor(cbor), NOW),
  })
  const row = (input: string, bytes: number, ours: number, theirs: number): Row => ({
    input,
    records: size,
    bytes,
    'records/s': Math.round((size / ours) * 1e9),
    'JSON.parse records/s': Math.round((size / theirs) * 1e9),
    ratio: Math.round((theirs / ours) * 100) / 100,
  })
  return [
    row('JSON bytes', json.length, ns.json, ns.baseline),
    row('JSON text', json.length, ns.jsonText, ns.baselineText),
    row('CBOR', cbor.length, ns.cbor, ns.baseline),
  ]
})

report('senml', rows)
