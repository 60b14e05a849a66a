import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { InFlight } from '../../../platform/bus/in-flight.ts'

/** Runs in the worker, so it stands on nothing of this file. */
function measure(Subject: typeof InFlight): void {
  process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc')
  const collect = process.getBuiltinModule('node:vm').runInNewContext('gc') as (options?: {
    type: 'minor'
  }) => void
  const inFlight = new Subject<number[]>(65_536)
  const numbers = [inFlight.add([])]
  // All that there is now is old.
  collect()
  const before = process.memoryUsage().heapUsed
  for (let round = 0; round < 100; round += 1) {
    for (let i = 0; i < 1_000; i += 1) {
      numbers.push(inFlight.add(Array.from({ length: 20 }, () => round)))
      if (numbers.length > 8) inFlight.take(numbers.shift() as number)
    }
    collect({ type: 'minor' })
  }
  const left = process.memoryUsage().heapUsed - before
  process.getBuiltinModule('node:worker_threads').parentPort?.postMessage({ left, size: inFlight.size })
}

describe('what is in flight', () => {
  it('goes with the young objects once it was taken, also behind one that has been there for long', async () => {
    // In a heap of its own: what other files of the process have left decides what V8 takes for old.
    const worker = new Worker(`const InFlight = ${InFlight.toString()}; (${measure.toString()})(InFlight)`, {
      eval: true,
    })
    const [{ left, size }] = (await once(worker, 'message')) as [{ left: number; size: number }]
    // They were twenty megabytes and more, and there are eight of them.
    expect(left).toBeLessThan(2_000_000)
    expect(size).toBe(8)
  })

  it('is taken once, by its own number, however often its place was used since', () => {
    const inFlight = new InFlight<string>(4)
    const first = inFlight.add('first')
    expect(inFlight.take(first)).toBe('first')
    const numbers = new Set([first])
    for (let round = 0; round < 100; round += 1) {
      const number = inFlight.add(`round ${round}`)
      expect(numbers.has(number)).toBe(false)
      numbers.add(number)
      expect(inFlight.take(first)).toBeUndefined()
      expect(inFlight.take(number)).toBe(`round ${round}`)
      expect(inFlight.take(number)).toBeUndefined()
    }
    expect(inFlight.size).toBe(0)
    for (const other of [Number.NaN, -1, 0.5, Infinity]) expect(inFlight.take(other)).toBeUndefined()
  })

  it('is listed in the order in which it came, whatever places it got', () => {
    const inFlight = new InFlight<number>(8)
    const early = [1, 2, 3, 4].map((value) => inFlight.add(value))
    inFlight.take(early[1] as number)
    inFlight.take(early[2] as number)
    const late = [5, 6, 7].map((value) => inFlight.add(value))
    expect(inFlight.size).toBe(5)
    expect(inFlight.numbersOf(() => true)).toEqual([early[0], early[3], ...late])
    expect(inFlight.numbersOf((value) => value > 5)).toEqual(late.slice(1))
  })
})
