import type { FetchRecord, PatchRecord } from './etch.ts'
import { RELATIVE_TIME_LIMIT, type SenmlRecord } from './record.ts'
import { fromNow } from './resolve.ts'

/** What records are told apart by. Times are absolute. */
export interface Selection {
  readonly name: string
  /** Undefined where neither the record nor a base field gives one: there is no default (RFC 8790 section 3). */
  readonly time: number | undefined
  readonly unit: string | undefined
}

/** Reads the selection of each record in turn, base fields applied. One for each pack. */
export class Selections {
  readonly #now: number
  #index = 0
  #name = ''
  #time: number | undefined
  #unit: string | undefined

  constructor(now: number) {
    this.#now = now
  }

  next(record: FetchRecord | PatchRecord | SenmlRecord): Selection {
    const index = this.#index++
    this.#name = record.bn ?? this.#name
    this.#time = record.bt ?? this.#time
    this.#unit = record.bu ?? this.#unit
    const hasTime = record.t !== undefined || this.#time !== undefined
    const time = (this.#time ?? 0) + (record.t ?? 0)
    return {
      name: this.#name + (record.n ?? ''),
      time:
        hasTime && time < RELATIVE_TIME_LIMIT ? fromNow(time, this.#now, index) : hasTime ? time : undefined,
      unit: record.u ?? this.#unit,
    }
  }
}

/** A text that two selections share if and only if they are equal. Names hold no blanks. */
export function keyOf({ name, time, unit }: Selection): string {
  return `${name} ${time ?? ''} ${unit === undefined ? '' : `=${unit}`}`
}
