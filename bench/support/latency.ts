/** What requests of one kind took, in milliseconds, and how many of them were answered a second. */
export interface Latency {
  readonly perSecond: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

/**
 * Sends requests, so many at a time, and each as soon as the one before is answered.
 *
 * @param request gets the number of the request; a failure ends the benchmark
 * @param options.warmUp requests that are sent first and not counted
 */
export async function measureLatency(
  request: (index: number) => Promise<unknown>,
  { count, concurrency, warmUp = Math.ceil(count / 10) }: LatencyOptions,
): Promise<Latency> {
  await send(request, warmUp, concurrency, 0)
  const began = performance.now()
  const times = await send(request, count, concurrency, warmUp)
  const seconds = (performance.now() - began) / 1_000
  times.sort((a, b) => a - b)
  const quantile = (q: number) => times[Math.min(times.length - 1, Math.ceil(times.length * q) - 1)] ?? 0
  return { perSecond: count / seconds, p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) }
}

export interface LatencyOptions {
  readonly count: number
  readonly concurrency: number
  readonly warmUp?: number
}

async function send(
  request: (index: number) => Promise<unknown>,
  count: number,
  concurrency: number,
  first: number,
): Promise<number[]> {
  const times: number[] = []
  let next = 0
  async function work(): Promise<void> {
    while (next < count) {
      const index = first + next++
      const began = performance.now()
      await request(index)
      times.push(performance.now() - began)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return times
}
