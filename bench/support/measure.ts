/**
 * Times competitors against each other: in turns, so that a machine that slows down slows all of them, and each by
 * its best round, because what disturbs a round only ever adds to it.
 *
 * @param competitors what to run, by name; synchronous
 * @returns nanoseconds per run, by name
 */
export function measure<Name extends string>(
  competitors: Record<Name, () => unknown>,
  { rounds = 15, roundMs = 40 } = {},
): Record<Name, number> {
  const names = Object.keys(competitors) as Name[]
  const best = {} as Record<Name, number>
  const runs = {} as Record<Name, number>
  for (const name of names) {
    best[name] = Infinity
    runs[name] = runsWithin(competitors[name], roundMs)
  }
  for (let round = 0; round < rounds; round++) {
    for (const name of names) best[name] = Math.min(best[name], time(competitors[name], runs[name]))
  }
  return best
}

/** What the last run returned, held where the compiler cannot prove that nobody looks. */
let sink: unknown

/** Nanoseconds per run. */
function time(run: () => unknown, runs: number): number {
  const start = process.hrtime.bigint()
  for (let i = 0; i < runs; i++) sink = run()
  return Number(process.hrtime.bigint() - start) / runs
}

/** How many runs fill the time, found after the code is warm. */
function runsWithin(run: () => unknown, ms: number): number {
  let runs = 1
  while (time(run, runs) * runs < ms * 1e6) runs *= 2
  if (sink === undefined) throw new Error('a benchmark has to return what it made')
  return runs
}
