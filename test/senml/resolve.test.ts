import { describe, expect, it } from 'vitest'
import { parseJson } from '../../senml/parse.ts'
import { normalize } from '../../senml/normalize.ts'
import { resolve, Resolver } from '../../senml/resolve.ts'
import { failureOf } from './errors.ts'

const NOW = 1_700_000_000

describe('the time of a resolved record', () => {
  it.each([
    ['now where nothing is said', {}, NOW],
    ['now for 0', { t: 0 }, NOW],
    ['in the past for a negative time', { t: -5.5 }, NOW - 5.5],
    ['in the future for a positive one', { t: 20 }, NOW + 20],
    ['in the future up to 2**28', { t: 2 ** 28 - 1 }, NOW + 2 ** 28 - 1],
    ['absolute from 2**28 on', { t: 2 ** 28 }, 2 ** 28],
    ['absolute with a base time', { bt: 1276020076.001, t: -5 }, 1276020071.001],
    ['absolute where base time and time get there together', { bt: 2 ** 27, t: 2 ** 27 }, 2 ** 28],
    ['relative with a base time', { bt: -100, t: 40 }, NOW - 60],
  ])('is %s', (_, times, t) => {
    expect(resolve([{ n: 'a', v: 1, ...times }], NOW)).toEqual([{ n: 'a', v: 1, t }])
  })

  it.each([
    ['is before 2**28', { t: -NOW }, NOW],
    ['is relative to a now that is itself relative', { t: 0 }, 0],
    ['is relative to no now', { t: 0 }, Number.NaN],
    ['is relative to a now without end', { t: 0 }, Infinity],
  ])('is an error where it %s', (_, times, now) => {
    expect(
      failureOf(() =>
        resolve(
          [
            { n: 'a', v: 1 },
            { n: 'a', v: 1, ...times },
          ].slice(1),
          now,
        ),
      ),
    ).toEqual({
      code: 'invalid_time',
      index: 0,
      field: 't',
    })
  })

  it('leaves now alone where all times are absolute', () => {
    expect(resolve([{ n: 'a', v: 1, t: 2 ** 30 }], 0)).toEqual([{ n: 'a', v: 1, t: 2 ** 30 }])
  })
})

describe('base fields', () => {
  it('hold from their record on, until the next of the same name', () => {
    const pack = parseJson(`[
      {"n":"first","v":1},
      {"bn":"x:","bu":"V","bv":10,"n":"a","v":1},
      {"n":"b","v":2},
      {"bn":"y:","n":"c","v":3},
      {"bu":"A","bv":0,"n":"d","u":"W","v":4},
      {"n":"e","v":5}
    ]`)

    expect(resolve(pack, NOW).map(({ n, u, v }) => [n, u, v])).toEqual([
      ['first', undefined, 1],
      ['x:a', 'V', 11],
      ['x:b', 'V', 12],
      ['y:c', 'V', 13],
      ['y:d', 'W', 4],
      ['y:e', 'A', 5],
    ])
  })

  it('are added to numbers alone: a base value makes no number of a text', () => {
    const pack = parseJson('[{"bn":"a","bv":5,"vs":"x"},{"vb":true},{"vd":"aA"},{"s":2}]')

    expect(resolve(pack, NOW)).toEqual([
      { n: 'a', t: NOW, vs: 'x' },
      { n: 'a', t: NOW, vb: true },
      { n: 'a', t: NOW, vd: 'aA' },
      { n: 'a', t: NOW, s: 2 },
    ])
  })

  it('give a sum to records without one, as section 4.5.4 has it', () => {
    expect(resolve(parseJson('[{"n":"a","v":1},{"n":"a","bs":100,"s":5},{"n":"a","v":2}]'), NOW)).toEqual([
      { n: 'a', t: NOW, v: 1 },
      { n: 'a', t: NOW, s: 105 },
      { n: 'a', t: NOW, v: 2, s: 100 },
    ])
  })

  it.each([
    ['v', '[{"n":"a","v":1},{"n":"a","bv":1e308,"v":1e308}]'],
    ['s', '[{"n":"a","v":1},{"n":"a","bs":-1e308,"s":-1e308}]'],
    ['t', '[{"n":"a","v":1},{"n":"a","bt":1e308,"t":1e308,"v":1}]'],
  ])('are an error where they take %s beyond doubles', (field, text) => {
    expect(failureOf(() => resolve(parseJson(text), NOW))).toEqual({ code: 'not_finite', index: 1, field })
  })

  it('that no RFC defines are dropped, while other extensions are kept', () => {
    const understood = new Set(['__proto__'])
    const pack = parseJson(
      '[{"bn":"a","bfoo":1,"v":1,"ut":60,"toString":"x","foo":{"b":[1]},"__proto__":7}]',
      { understood },
    )
    const [record] = resolve(pack, NOW)

    expect(Object.entries(record ?? {})).toEqual([
      ['n', 'a'],
      ['t', NOW],
      ['v', 1],
      ['ut', 60],
      ['toString', 'x'],
      ['foo', { b: [1] }],
      ['__proto__', 7],
    ])
  })
})

describe('the version of resolved records', () => {
  it('is in all of them if it is not 10, and in none if it is', () => {
    const [five, ten] = [5, 10].map((bver) =>
      resolve(parseJson(`[{"bver":${bver},"bn":"a","v":1},{"v":2}]`), NOW),
    )

    expect(five?.map((record) => record.bver)).toEqual([5, 5])
    expect(ten?.some((record) => 'bver' in record)).toBe(false)
  })
})

describe('resolving', () => {
  const pack = () =>
    parseJson('[{"n":"a","t":3,"v":1},{"n":"b","t":1,"v":2},{"n":"c","t":1,"v":3},{"n":"d","t":2,"v":4}]')

  it('keeps the order received, or sorts by time where asked, records of one time staying as they are', () => {
    expect(resolve(pack(), NOW).map(({ n }) => n)).toEqual(['a', 'b', 'c', 'd'])
    expect(resolve(pack(), NOW, { chronological: true }).map(({ n }) => n)).toEqual(['b', 'c', 'd', 'a'])
  })

  it('changes nothing in what it is given', () => {
    const records = pack()
    const before = structuredClone(records)
    resolve(records, NOW)

    expect(records).toEqual(before)
  })

  it('keeps the sign of zero', () => {
    expect(resolve([{ n: 'a', v: -0 }], NOW)[0]?.v).toBe(-0)
  })

  it('of a stream takes the now of each record', () => {
    const resolver = new Resolver()

    expect(resolver.next({ bn: 'a', bt: -1 }, NOW)).toBeUndefined()
    expect(resolver.next({ v: 1 }, NOW)).toEqual({ n: 'a', t: NOW - 1, v: 1 })
    expect(resolver.next({ v: 2, t: 1 }, NOW + 60)).toEqual({ n: 'a', t: NOW + 60, v: 2 })
  })
})

describe('normalizing', () => {
  it('is resolving without a clock: relative times stay relative', () => {
    const pack = parseJson('[{"bn":"a","bt":-10},{"v":1,"t":4},{"bt":1276020076,"v":2}]')

    expect(normalize(pack)).toEqual([
      { n: 'a', t: -6, v: 1 },
      { n: 'a', t: 1276020076, v: 2 },
    ])
  })
})
