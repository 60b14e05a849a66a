import { SenmlError } from './errors.ts'
import { setField } from './own.ts'
import { DEFAULT_VERSION, type ResolvedRecord, type SenmlRecord } from './record.ts'

/** The base fields in effect, and the folding of records into them. One for each pack or stream. */
export class BaseFields {
  #name = ''
  #time = 0
  #unit: string | undefined
  #value: number | undefined
  #sum: number | undefined
  #version = DEFAULT_VERSION

  /**
   * Makes a record stand alone: base fields are added to it and dropped (RFC 8428 section 4.6). Its time stays
   * relative if it was. The record itself is not changed.
   *
   * A base value is added only where there is a number to add it to, a base sum to every measurement (section
   * 4.5.4). Base fields of extensions are dropped, for nobody has said how to apply them.
   *
   * @returns undefined for a record that has base fields alone
   * @throws {SenmlError} `not_finite` where a sum leaves the range of doubles
   */
  fold(record: SenmlRecord, index: number): ResolvedRecord | undefined {
    let name = ''
    let time = 0
    let unit: string | undefined
    let isMeasurement = false
    let hasMore = false
    // One walk over the fields there are costs less than asking for each of the sixteen there could be.
    for (const label in record) {
      switch (label) {
        case 'n':
          name = record.n ?? ''
          break
        case 't':
          time = record.t ?? 0
          break
        case 'u':
          unit = record.u
          break
        case 'v':
        case 's':
        case 'vs':
        case 'vb':
        case 'vd':
          if (record[label] !== undefined) isMeasurement = true
          break
        case 'bn':
          this.#name = record.bn ?? this.#name
          break
        case 'bt':
          this.#time = record.bt ?? this.#time
          break
        case 'bu':
          this.#unit = record.bu ?? this.#unit
          break
        case 'bv':
          this.#value = record.bv ?? this.#value
          break
        case 'bs':
          this.#sum = record.bs ?? this.#sum
          break
        case 'bver':
          this.#version = record.bver ?? this.#version
          break
        default:
          hasMore = true
      }
    }
    if (!isMeasurement) return undefined
    const n = this.#name + name
    // Adding 0 makes 0 of -0: now is now.
    const t = finite(this.#time + time + 0, 't', index)
    const u = unit ?? this.#unit
    const folded: ResolvedRecord = u === undefined ? { n, t } : { n, u, t }
    this.#foldValues(folded, record, index)
    if (hasMore) copyMore(folded, record)
    return folded
  }

  #foldValues(folded: ResolvedRecord, record: SenmlRecord, index: number): void {
    if (record.v !== undefined) {
      folded.v = this.#value === undefined ? record.v : finite(this.#value + record.v, 'v', index)
    } else if (record.vs !== undefined) folded.vs = record.vs
    else if (record.vb !== undefined) folded.vb = record.vb
    else if (record.vd !== undefined) folded.vd = record.vd
    if (this.#sum !== undefined) folded.s = finite(this.#sum + (record.s ?? 0), 's', index)
    else if (record.s !== undefined) folded.s = record.s
    // Section 4.6: the version is there if and only if it is not the one RFC 8428 defines.
    if (this.#version !== DEFAULT_VERSION) folded.bver = this.#version
  }
}

/** Update time and regular fields of extensions. Labels that start with b are base fields (section 12.2). */
function copyMore(folded: ResolvedRecord, record: SenmlRecord): void {
  for (const label in record) {
    const value = record[label]
    if (value === undefined || label.startsWith('b') || Object.hasOwn(folded, label)) continue
    setField(folded, label, value)
  }
}

function finite(sum: number, field: string, index: number): number {
  if (Number.isFinite(sum)) return sum
  throw new SenmlError('not_finite', 'leaves the range of doubles with its base', { index, field })
}
