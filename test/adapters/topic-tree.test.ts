import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TopicTree } from '../../adapters/topic-tree.ts'
import { matchesFilter } from '../../adapters/topics.ts'

/** Few, so that they meet. */
const literal = fc.constantFrom('a', 'b', '', '$SYS', '$x', 'ü')
const topic = fc.array(literal, { maxLength: 6 })
const filter = fc
  .tuple(fc.array(fc.oneof(literal, fc.constant('+')), { maxLength: 5 }), fc.boolean())
  .map(([levels, isOpen]) => (isOpen ? [...levels, '#'] : levels))

describe('topics found by filter', () => {
  it('are those that match one by one, each once, whatever was set and taken away', () => {
    const change = fc.record({ topic, isRemoved: fc.boolean() })
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60 }),
        fc.array(filter, { maxLength: 10 }),
        (changes, filters) => {
          const tree = new TopicTree<{ levels: string[] }>()
          const kept = new Map<string, { levels: string[] }>()
          for (const { topic: levels, isRemoved } of changes) {
            const key = JSON.stringify(levels)
            const value = { levels }
            if (isRemoved) {
              tree.delete(levels)
              kept.delete(key)
            } else {
              tree.set(levels, value)
              kept.set(key, value)
            }
            expect(tree.get(levels)).toBe(kept.get(key))
          }
          expect(tree.isEmpty).toBe(kept.size === 0)
          for (const each of filters) {
            const expected = [...kept.values()].filter(({ levels }) => matchesFilter(levels, each))
            const found = tree.find(each)
            expect(found).toHaveLength(expected.length)
            expect(new Set(found)).toEqual(new Set(expected))
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  it.each([
    [['a'], ['a', '#'], true],
    [['a', 'b', 'c'], ['a', '#'], true],
    [[], ['#'], true],
    [[], ['+'], false],
    [[''], ['+'], true],
    [['a', '', 'b'], ['a', '+', 'b'], true],
    [['$SYS', 'a'], ['+', '#'], true],
    [['a', 'b'], ['a'], false],
    [['a'], ['a', 'b'], false],
  ])('%j against %j: %s', (levels, one, isMatch) => {
    const tree = new TopicTree<string>()
    tree.set(levels, 'value')
    expect(tree.find(one)).toEqual(isMatch ? ['value'] : [])
  })

  it('cost a walk to where the filter leads, not through all topics', () => {
    const tree = new TopicTree<number>()
    for (let count = 0; count < 1_000; count += 1) tree.set(['r', `${count}`, 'state'], count)
    const visitsOf = (levels: string[]): number => {
      const before = tree.visits
      tree.find(levels)
      return tree.visits - before
    }
    expect(visitsOf(['r', '77', 'state'])).toBe(3)
    expect(visitsOf(['r', '77', '#'])).toBeLessThanOrEqual(4)
    expect(visitsOf(['+', 'nothing'])).toBe(2)
    expect(visitsOf(['nothing', '#'])).toBe(1)
  })

  it('take two nodes a topic at the most, however deep they are, and none when they are gone', () => {
    const tree = new TopicTree<number>()
    const deep = Array.from({ length: 90 }, (_, level) => `${level}`)
    const all = (): number => {
      const before = tree.visits
      tree.find(['#'])
      return tree.visits - before
    }
    tree.set([...deep, 'end'], 0)
    // Each parts from the first at a level of its own, and goes again.
    for (let at = 0; at < 90; at += 1) {
      tree.set([...deep.slice(0, at), 'other'], at)
      tree.delete([...deep.slice(0, at), 'other'])
    }
    // The root is one, and is looked at twice.
    expect(all()).toBe(3)
    tree.set([...deep, 'end', 'more'], 1)
    expect(all()).toBe(4)
    tree.delete([...deep, 'end'])
    tree.delete([...deep, 'end', 'more'])
    expect(tree.isEmpty).toBe(true)
  })
})
