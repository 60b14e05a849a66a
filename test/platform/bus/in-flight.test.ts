import { describe, expect, it } from 'vitest'
import { InFlight } from '../../../platform/bus/in-flight.ts'
import { garbageCollector, leastLeft } from '../../support/garbage.ts'

describe('what is in flight', () => {
  it('goes with the young objects once it was taken, also behind one that has been there for long', async () => {
    const collect = garbageCollector()
    const inFlight = new InFlight<number[]>(65_536)
    const numbers = [inFlight.add([])]
    const left = await leastLeft(() => {
      for (let round = 0; round < 100; round += 1) {
        for (let i = 0; i < 1_000; i += 1) {
          numbers.push(inFlight.add(Array.from({ length: 20 }, () => round)))
          if (numbers.length > 8) inFlight.take(numbers.shift() as number)
        }
        collect({ type: 'minor' })
      }
    })
    // They were twenty megabytes and more, and there are eight of them.
    expect(left).toBeLessThan(2_000_000)
    expect(inFlight.size).toBe(8)
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
