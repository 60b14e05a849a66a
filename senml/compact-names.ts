import type { SenmlRecord } from './record.ts'

/** Characters of `"bn":"",` and of `"n":"",`. */
const BASE_NAME_COST = 8
const NAME_COST = 7

/** Records in a row that share a beginning of their names. */
interface Run {
  readonly start: number
  count: number
  shared: string
  /** Whether the shared beginning is the whole name of all of them. */
  isWhole: boolean
}

/** Takes what names in a row have in common out of them and into base names. */
export function shareNames(bases: SenmlRecord[], rest: SenmlRecord[]): void {
  let isBaseInEffect = false
  for (const run of runsOf(rest.map((record) => record.n ?? ''))) {
    const isWorthwhile = run.shared.length * (run.count - 1) > BASE_NAME_COST
    const shared = isWorthwhile ? run.shared : ''
    // A run that shares nothing still has to end the base name of the run before it.
    if (shared !== '' || isBaseInEffect) (bases[run.start] as SenmlRecord).bn = shared
    isBaseInEffect = shared !== ''
    for (let i = run.start; i < run.start + run.count; i++) {
      const record = rest[i] as SenmlRecord
      const name = (record.n as string).slice(shared.length)
      if (name === '') delete record.n
      else record.n = name
    }
  }
}

/**
 * Cuts the names into runs: a new one wherever its base name costs less than what the run before would lose and what
 * the new one shares with the name behind it.
 */
function runsOf(names: readonly string[]): Run[] {
  const runs: Run[] = []
  let run: Run | undefined
  names.forEach((name, i) => {
    const common = run === undefined ? 0 : commonLength(run.shared, name)
    const gain = commonLength(name, names[i + 1] ?? '') - common
    if (run === undefined || costOfJoining(run, name, common) + gain > common + BASE_NAME_COST) {
      run = { start: i, count: 1, shared: name, isWhole: true }
      runs.push(run)
      return
    }
    run.isWhole = run.isWhole && common === name.length && common === run.shared.length
    run.shared = name.slice(0, common)
    run.count++
  })
  return runs
}

/** Characters that the run's records grow by when they share no more than `common` of their names. */
function costOfJoining(run: Run, name: string, common: number): number {
  const growth = (run.shared.length - common) * (run.count - 1)
  const getsNames = run.isWhole && run.count > 1 && common < Math.max(run.shared.length, name.length)
  return growth + (getsNames ? NAME_COST * (run.count - 1) : 0)
}

function commonLength(a: string, b: string): number {
  let length = 0
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length++
  return length
}
