/** The value that this share of all stays at or below; the list is sorted by it. */
export function percentile(values: number[], share: number): number {
  values.sort((a, b) => a - b)
  return values[Math.min(values.length - 1, Math.ceil(values.length * share) - 1)] ?? Number.NaN
}

/** Milliseconds that each of so many runs took. */
export async function timed(runs: number, run: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < runs; i++) {
    const start = performance.now()
    await run()
    times.push(performance.now() - start)
  }
  return times
}
