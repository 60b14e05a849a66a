import { describe, expect, it } from 'vitest'
import { fromJsonValue, parseJson } from '../../senml/parse.ts'
import { failureOf } from './errors.ts'

describe('reading a pack in JSON', () => {
  it('takes bytes as well as text', () => {
    const text = '[{"n":"a","vs":"21 °C"}]'

    expect(parseJson(new TextEncoder().encode(text))).toEqual(parseJson(text))
  })

  it.each([0.00479298817650529, 23.1, 1.3, 5e-324, 1.7976931348623157e308, 2 ** 53 + 2, 1276020076.001, -0])(
    'keeps the number %d to the last bit',
    (v) => {
      const text = Object.is(v, -0) ? '-0' : String(v)

      expect(parseJson(`[{"n":"a","v":${text}}]`)[0]?.v).toBe(v)
    },
  )

  it('keeps fields that it does not know, whatever they hold', () => {
    const pack = [{ n: 'a', v: 1, foo: 'bar', list: [1, { deep: null }], bfoo: 2, constructor: 'x' }]

    expect(parseJson(JSON.stringify(pack))).toEqual(pack)
  })

  it('keeps a field named __proto__ as a field', () => {
    const understood = new Set(['__proto__'])
    const [record] = parseJson('[{"n":"a","v":1,"__proto__":{"v":2}}]', { understood })

    expect(Object.keys(record ?? {})).toEqual(['n', 'v', '__proto__'])
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype)
  })

  it('takes a value that is read already, and returns its own objects', () => {
    const value: unknown = JSON.parse('[{"n":"a","v":1}]')

    expect(fromJsonValue(value)).toBe(value)
  })

  it('takes a field that a program left undefined for absent', () => {
    expect(fromJsonValue([{ n: 'a', v: 1, vs: undefined }])).toHaveLength(1)
  })
})

describe('what is wrong with a pack', () => {
  const wide = (n: number) => `[${Array.from({ length: n }, () => '{"n":"a","v":1}').join(',')}]`
  const nested = (levels: number) => `[{"n":"a","v":1,"x":${'['.repeat(levels)}${']'.repeat(levels)}}]`

  it.each([
    ['no JSON', '[{"n":"a"', { code: 'invalid_json' }],
    ['nothing', '', { code: 'invalid_json' }],
    ['no array', '{"n":"a","v":1}', { code: 'not_a_pack' }],
    ['null', 'null', { code: 'not_a_pack' }],
    ['no record', '[]', { code: 'empty_pack' }],
    ['a record that is a number', '[{"n":"a","v":1},7]', { code: 'invalid_record', index: 1 }],
    ['a record that is null', '[null]', { code: 'invalid_record', index: 0 }],
    ['a record that is an array', '[[]]', { code: 'invalid_record', index: 0 }],
    ['fields that nest too deep', nested(65), { code: 'too_deep', index: 0, field: 'x' }],
  ])('is told for %s', (_, text, failure) => {
    expect(failureOf(() => parseJson(text))).toEqual(failure)
  })

  it('does not include an extension that nests 64 levels', () => {
    expect(parseJson(nested(64))).toHaveLength(1)
  })

  it('is told for bytes that are not UTF-8', () => {
    const bytes = Uint8Array.of(...new TextEncoder().encode('[{"n":"a","vs":"'), 0xff, 0x22, 0x7d, 0x5d)

    expect(failureOf(() => parseJson(bytes))).toEqual({ code: 'invalid_json' })
  })

  it('includes more records than the limit', () => {
    expect(parseJson(wide(3), { maxRecords: 3 })).toHaveLength(3)
    expect(failureOf(() => parseJson(wide(4), { maxRecords: 3 }))).toEqual({ code: 'too_many_records' })
    expect(failureOf(() => parseJson(wide(10_001)))).toEqual({ code: 'too_many_records' })
  })

  it('includes more bytes than the limit, counted in UTF-8', () => {
    const text = '[{"n":"a","vs":"ü€😀"}]'
    const bytes = new TextEncoder().encode(text)

    expect(parseJson(text, { maxBytes: bytes.length })).toHaveLength(1)
    expect(failureOf(() => parseJson(text, { maxBytes: bytes.length - 1 }))).toEqual({ code: 'too_large' })
    expect(failureOf(() => parseJson(bytes, { maxBytes: bytes.length - 1 }))).toEqual({ code: 'too_large' })
    expect(failureOf(() => parseJson(' '.repeat(2 ** 20 + 1)))).toEqual({ code: 'too_large' })
  })
})

describe('what is wrong with a field', () => {
  it.each([
    ['bn', 1],
    ['bt', '1'],
    ['bu', null],
    ['bv', true],
    ['bs', [1]],
    ['bver', '10'],
    ['n', 1],
    ['u', {}],
    ['v', '23.1'],
    ['v', null],
    ['vs', 1],
    ['vb', 1],
    ['vd', 1],
    ['s', '1'],
    ['t', '0'],
    ['ut', false],
  ])('is its type, where %s is %j', (field, value) => {
    const record = { n: 'a', v: 1, ...(field.startsWith('v') && { v: undefined }), [field]: value }

    expect(failureOf(() => fromJsonValue([{ n: 'b', v: 1 }, record]))).toEqual({
      code: 'wrong_type',
      index: 1,
      field,
    })
  })

  it.each(['v', 's', 't', 'ut', 'bt', 'bv', 'bs'])('is a number beyond doubles in %s', (field) => {
    const text = field === 'v' ? '[{"n":"a","v":1e999}]' : `[{"n":"a","v":1,"${field}":-1e999}]`

    expect(failureOf(() => parseJson(text))).toEqual({ code: 'not_finite', index: 0, field })
  })

  it.each(['u', 'vs', 'bu'])('is half a surrogate pair in %s', (field) => {
    const text = `[{"n":"a",${field === 'vs' ? '' : '"v":1,'}"${field}":"x\\ud83d"}]`

    expect(failureOf(() => parseJson(text))).toEqual({ code: 'invalid_text', index: 0, field })
  })

  it.each(['aGkgCg==', 'aGk+Cg', 'aGk/Cg', 'a', 'aGkgC', 'aGkgCh', 'aGk gCg', 'ä'])(
    'is base64url with padding, of another alphabet, or cut: %s',
    (vd) => {
      expect(failureOf(() => fromJsonValue([{ n: 'a', vd }]))).toEqual({
        code: 'invalid_data',
        index: 0,
        field: 'vd',
      })
    },
  )

  it.each(['', 'aGkgCg', 'aGk-_w', 'aA', 'aGk'])('is not base64url without padding: %s', (vd) => {
    expect(fromJsonValue([{ n: 'a', vd }])).toHaveLength(1)
  })
})

describe('a label that ends with an underscore', () => {
  const pack = '[{"n":"a","v":1,"foo_":2}]'

  it('must be understood', () => {
    expect(failureOf(() => parseJson(pack))).toEqual({ code: 'must_understand', index: 0, field: 'foo_' })
  })

  it('passes where the application says that it is', () => {
    expect(parseJson(pack, { understood: new Set(['foo_']) })).toEqual([{ n: 'a', v: 1, foo_: 2 }])
  })
})

describe('the values of a record', () => {
  it.each([
    ['a number', { v: 0 }],
    ['a text', { vs: '' }],
    ['a boolean', { vb: false }],
    ['data', { vd: '' }],
    ['a sum alone', { s: 0 }],
    ['a value and a sum', { v: 1, s: 2 }],
  ])('may be %s', (_, values) => {
    expect(fromJsonValue([{ n: 'a', ...values }])).toHaveLength(1)
  })

  it.each([
    ['vs', { v: 1, vs: 'x' }],
    ['vb', { v: 1, vb: true }],
    ['vd', { vb: true, vd: 'aA' }],
  ])('are at most one: %s is too much', (field, values) => {
    expect(failureOf(() => fromJsonValue([{ n: 'a', ...values }]))).toEqual({
      code: 'several_values',
      index: 0,
      field,
    })
  })

  it.each([
    [{ n: 'a' }],
    [{ bn: 'a', t: 1 }],
    [{ bn: 'a', u: 'V' }],
    [{}],
    [{ foo: 1 }],
    [{ bn: 'a', bs: 1, n: 'b' }],
  ])('are at least one: %j has none', (record) => {
    expect(failureOf(() => fromJsonValue([record]))).toEqual({ code: 'missing_value', index: 0 })
  })

  it('are not asked of a record with base fields alone', () => {
    expect(fromJsonValue([{ bn: 'a' }, { v: 1 }])).toHaveLength(2)
  })
})

describe('the name of a record', () => {
  it.each([['a'], ['0'], ['urn:dev:ow:10e2073a01080063'], ['2001:db8::2/temperature'], ['A-Z_a.z:0/9']])(
    'may be %s',
    (n) => {
      expect(fromJsonValue([{ n, v: 1 }])).toHaveLength(1)
      expect(fromJsonValue([{ bn: n, v: 1 }])).toHaveLength(1)
    },
  )

  it.each(['-a', ':a', '.a', '/a', '_a', 'a b', 'a+', 'ä', 'a\u0000', 'a%', 'a\ud800'])(
    'is never %j',
    (name) => {
      const wrong = (field: string) => ({ code: 'invalid_name', index: 0, field })

      expect(failureOf(() => fromJsonValue([{ n: name, v: 1 }]))).toEqual(wrong('n'))
      expect(failureOf(() => fromJsonValue([{ bn: name, v: 1 }]))).toEqual(wrong('bn'))
    },
  )

  it('starts where the base name does: behind one, it may start with any of its characters', () => {
    expect(fromJsonValue([{ bn: 'a', n: '/b', v: 1 }])).toHaveLength(1)
    expect(fromJsonValue([{ bn: '', n: 'b', v: 1 }])).toHaveLength(1)
  })

  it('is there', () => {
    const failure = { code: 'empty_name', field: 'n' }

    expect(failureOf(() => fromJsonValue([{ v: 1 }]))).toEqual({ ...failure, index: 0 })
    expect(
      failureOf(() =>
        fromJsonValue([
          { bn: 'a', v: 1 },
          { bn: '', v: 1 },
        ]),
      ),
    ).toEqual({ ...failure, index: 1 })
  })

  it('makes nothing of a base name that no record uses', () => {
    expect(fromJsonValue([{ bn: 'ä' }, { bn: 'a', v: 1 }])).toHaveLength(2)
  })

  it('points at the record that first uses a wrong base name', () => {
    expect(failureOf(() => fromJsonValue([{ bn: 'ä' }, { v: 1 }]))).toEqual({
      code: 'invalid_name',
      index: 1,
      field: 'bn',
    })
  })
})

describe('the version of a pack', () => {
  const wrong = (code: string, index: number) => ({ code, index, field: 'bver' })

  it.each([1, 5, 10])('may be %i, which RFC 8428 covers', (bver) => {
    expect(
      fromJsonValue([
        { bver, n: 'a', v: 1 },
        { n: 'b', v: 1 },
        { bver, n: 'c', v: 1 },
      ]),
    ).toHaveLength(3)
  })

  it('may be said late if it is the one that goes without saying', () => {
    expect(
      fromJsonValue([
        { n: 'a', v: 1 },
        { bver: 10, n: 'b', v: 1 },
      ]),
    ).toHaveLength(2)
  })

  it('is refused above 10, unless the caller understands more', () => {
    const pack = [{ bver: 11, n: 'a', v: 1 }]

    expect(failureOf(() => fromJsonValue(pack))).toEqual(wrong('unsupported_version', 0))
    expect(failureOf(() => fromJsonValue(pack, { maxVersion: 5 }))).toEqual(wrong('unsupported_version', 0))
    expect(fromJsonValue(pack, { maxVersion: 11 })).toHaveLength(1)
    expect(fromJsonValue(pack, { maxVersion: Infinity })).toHaveLength(1)
  })

  it('is one for all records, whatever versions are understood', () => {
    const options = { maxVersion: Infinity }

    expect(
      failureOf(() =>
        fromJsonValue(
          [
            { bver: 5, n: 'a', v: 1 },
            { bver: 6, v: 1 },
          ],
          options,
        ),
      ),
    ).toEqual(wrong('mixed_versions', 1))
    expect(
      failureOf(() =>
        fromJsonValue(
          [
            { n: 'a', v: 1 },
            { bver: 5, n: 'a', v: 1 },
          ],
          options,
        ),
      ),
    ).toEqual(wrong('mixed_versions', 1))
  })

  it.each([0, -1, 1.5])('is a positive integer, and not %d', (bver) => {
    expect(failureOf(() => fromJsonValue([{ bver, n: 'a', v: 1 }]))).toEqual(wrong('invalid_version', 0))
  })
})

describe('the message of an error', () => {
  it('names the record and the field', () => {
    expect(() => parseJson('[{"n":"a","v":1},{"n":"b","v":"1"}]')).toThrow(
      'record 1, field v: is not a number',
    )
  })
})
