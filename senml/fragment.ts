import { SenmlError } from './errors.ts'

/** Digits that count records; more than sixteen are no exact number. */
const RANGE = /^([1-9][0-9]{0,14})(?:-([1-9][0-9]{0,14}|\*))?$/

/**
 * Finds the records that a fragment identifier selects (RFC 8428 section 9; the same for Fetch and Patch Packs,
 * RFC 8790 section 4). Selecting takes nothing out of the pack: a record still means what the base fields before it
 * make of it.
 *
 * @param fragment such as `rec=3-5,10,19-*`, positions counted from 1, with or without `#` in front
 * @param count records in the pack; positions beyond it select nothing
 * @returns indexes from 0, in order, each once
 * @throws {SenmlError} `invalid_fragment`
 */
export function selectByFragment(fragment: string, count: number): number[] {
  const match = /^#?rec=(.*)$/s.exec(fragment)
  if (match === null) throw invalid(fragment)
  const ranges = (match[1] as string).split(',').map((text) => readRange(text, count))
  ranges.sort((a, b) => a.first - b.first)
  const selected: number[] = []
  let next = 0
  for (const { first, last } of ranges) {
    for (next = Math.max(next, first); next <= last; next++) selected.push(next)
  }
  return selected
}

/** Indexes from 0, both included. */
function readRange(text: string, count: number): { first: number; last: number } {
  const match = RANGE.exec(text)
  if (match === null) throw invalid(text)
  const first = Number(match[1])
  const last = match[2] === undefined ? first : match[2] === '*' ? Infinity : Number(match[2])
  if (last < first) throw invalid(text)
  return { first: first - 1, last: Math.min(last, count) - 1 }
}

function invalid(text: string): SenmlError {
  return new SenmlError('invalid_fragment', `${JSON.stringify(text)} selects no records`)
}
