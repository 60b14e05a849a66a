import { describe, expect, it } from 'vitest'
import { InvalidInput } from '../../../platform/errors.ts'
import { requireStorable } from '../../../platform/http/storable.ts'

const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels))

describe('text that the database can hold', () => {
  it.each([
    ['the six characters that spell an escape', { a: '\\u0000', b: ['\\ud800'] }],
    ['a whole surrogate pair', { a: '\u{1f600}' }],
    ['other control characters', { a: '\u0001\n' }],
    ['what is not text', { a: [1, true, null, {}] }],
    ['sixty-four levels', nested(64)],
  ])('may hold %s', (_what, value) => {
    expect(() => requireStorable(value)).not.toThrow()
  })

  it.each([
    ['U+0000', { a: [{}, { b: 'x\0' }] }, 'a.1.b: must not hold the character U+0000'],
    ['U+0000 in a name', { a: { 'x\0': 1 } }, 'must not hold the character U+0000'],
    ['half of a surrogate pair', { a: 'x\ud800' }, 'a: must not hold half of a surrogate pair'],
    ['the other half', ['\udc00x'], '0: must not hold half of a surrogate pair'],
    ['sixty-five levels', nested(65), 'must not be nested deeper than 64 levels'],
    ['more levels than a stack', nested(1_000_000), 'must not be nested deeper than 64 levels'],
  ])('may not hold %s', (_what, value, message) => {
    expect(() => requireStorable(value)).toThrow(InvalidInput)
    expect(() => requireStorable(value)).toThrow(message)
  })

  it('is refused with a message of bounded length', () => {
    const value = { ['x'.repeat(100_000)]: '\0' }
    expect(() => requireStorable(value)).toThrow(/^.{1,300}$/)
  })
})
