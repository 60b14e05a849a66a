import type { FetchRecord } from './etch.ts'
import { RELATIVE_TIME_LIMIT } from './record.ts'
import { fromNow } from './resolve.ts'

/** What records are told apart by. Times are absolute. */
export interface Selection {
  readonly name: string
  /** Undefined where neither the record nor a base field gives one: there is no default (RFC 8790 section 3). */
  readonly time: number | undefined
  readonly unit: string | undefined
}

/** Reads what each Fetch Record selects, base fields applied. One for each pack. */
export class Selections {
  readonly #now: number
  #index = 0
  #name = ''
  #time: number | undefined
  #unit: string | undefined

  constructor(now: number) {
    this.#now = now
  }

  next(record: FetchRecord): Selection {
    const index = this.#index++
    this.#name = record.bn ?? this.#name
    this.#time = record.bt ?? this.#time
    this.#unit = record.bu ?? this.#unit
    const name = this.#name + (record.n ?? '')
    const unit = record.u ?? this.#unit
    if (record.t === undefined && this.#time === undefined) return { name, time: undefined, unit }
    const time = (this.#time ?? 0) + (record.t ?? 0)
    return { name, time: time < RELATIVE_TIME_LIMIT ? fromNow(time, this.#now, index) : time, unit }
  }
}

/** A text that two selections share if and only if they are equal. Names hold no blanks. */
export function keyOf({ name, time, unit }: Selection): string {
  return `${name} ${time ?? ''} ${unit === undefined ? '' : `=${unit}`}`
}
