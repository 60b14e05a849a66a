import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FilterIndex } from '../../adapters/filter-index.ts'
import { matchesFilter } from '../../adapters/topics.ts'

/** Few, so that they meet; what a foreign publisher on the bus can make of a level among them. */
const literal = fc.constantFrom('a', 'b', '', '$SYS', '$x', 'ü')
const topic = fc.array(fc.oneof(literal, fc.constantFrom('+', '#', 'a/b', '/')), { maxLength: 6 })
const filter = fc
  .tuple(fc.array(fc.oneof(literal, fc.constant('+')), { maxLength: 5 }), fc.boolean())
  .map(([levels, isOpen]) => (isOpen ? [...levels, '#'] : levels))

const found = <T>(index: FilterIndex<T>, levels: readonly string[]): T[] =>
  index.find(levels).flatMap((values) => [...values])

describe('filters found by the levels of a message', () => {
  it('are those that match one by one, each once, whatever was added and taken away', () => {
    const entry = fc.record({ filter, isRemoved: fc.boolean() })
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 40 }),
        fc.array(topic, { maxLength: 10 }),
        (entries, topics) => {
          const index = new FilterIndex<(typeof entries)[number]>()
          for (const each of entries) index.add(each.filter, each)
          for (const each of entries) if (each.isRemoved) index.delete(each.filter, each)
          const left = entries.filter(({ isRemoved }) => !isRemoved)
          for (const levels of topics) {
            const expected = left.filter((each) => matchesFilter(levels, each.filter))
            const actual = found(index, levels)
            expect(actual).toHaveLength(expected.length)
            expect(new Set(actual)).toEqual(new Set(expected))
          }
          expect(new Set(index.all())).toEqual(new Set(left))
        },
      ),
      { numRuns: 500 },
    )
  })

  it.each([
    [['a'], ['a', '#'], true],
    [[], ['#'], true],
    [[], ['+'], false],
    [[''], ['+'], true],
    [['', ''], ['+', '+'], true],
    [['$SYS', 'a'], ['#'], true],
    [['a/b', 'c'], ['a', 'b', '#'], false],
  ])('%j against %j: %s', (levels, one, isMatch) => {
    const index = new FilterIndex<string>()
    index.add(one, 'value')
    expect(found(index, levels)).toEqual(isMatch ? ['value'] : [])
  })

  it('cost one look-up for any number of filters with wildcards in the same places', () => {
    const index = new FilterIndex<number>()
    for (let count = 0; count < 10_000; count += 1) index.add(['+', '+', `${count}`], count)
    expect(index.width).toBe(1)
    expect(found(index, ['a', 'b', '77'])).toEqual([77])
    index.add(['+', 'b', '#'], 10_000)
    expect(index.width).toBe(2)
    expect(index.hasShapeOf(['+', 'x', '#'])).toBe(true)
    expect(index.hasShapeOf(['x', '+', '#'])).toBe(false)
  })

  it('leave nothing behind', () => {
    const index = new FilterIndex<number>()
    for (let count = 0; count < 100; count += 1) index.add(['+', `${count}`], count)
    for (let count = 0; count < 100; count += 1) index.delete(['+', `${count}`], count)
    expect(index.width).toBe(0)
  })
})
