import { describe, expect, it } from 'vitest'
import { decodeBase64url, encodeBase64url, isBase64url } from '../../senml/base64url.ts'
import { ContentFormat, contentFormatOf, mediaTypeOf } from '../../senml/content-formats.ts'
import { selectByFragment } from '../../senml/fragment.ts'
import { looksLikeSenml } from '../../senml/looks-like.ts'
import { isName } from '../../senml/names.ts'
import { utf8Length } from '../../senml/text.ts'
import { failureOf } from './errors.ts'
import { rfcPacks } from './rfc-packs.ts'

describe('a JSON value that nobody declared', () => {
  it.each(rfcPacks)('is SenML if it is the example of RFC 8428, $title', ({ json }) => {
    expect(looksLikeSenml(JSON.parse(json))).toBe(true)
  })

  it.each([
    ['a pack with a wrong name', [{ n: 'ä', v: 1 }]],
    ['a pack with a second value', [{ n: 'a', v: 1, vs: 'x' }]],
    [
      'a pack with a wrong record behind a right one',
      [
        { n: 'a', v: 1 },
        { n: 'b', v: '1' },
      ],
    ],
    ['a pack of base fields and data', [{ bn: 'a' }, { vd: 'aGk' }]],
    ['a pack with sums alone', [{ n: 'a', s: 1 }]],
  ])('is meant as SenML if it is %s', (_, value) => {
    expect(looksLikeSenml(value)).toBe(true)
  })

  it.each([
    ['null', null],
    ['a text', 'v'],
    ['an object', { n: 'a', v: 1 }],
    ['an empty array', []],
    ['an array of numbers', [1, 2]],
    ['an array of arrays', [[{ n: 'a', v: 1 }]]],
    ['an array of other objects', [{ temperature: 21 }]],
    ['an array with null', [{ n: 'a', v: 1 }, null]],
    ['an array with another object', [{ n: 'a', v: 1 }, { temperature: 21 }]],
    ['an array without a name', [{ v: 1 }]],
    ['an array whose name is a number', [{ n: 1, v: 1 }]],
    ['an array without a value', [{ n: 'a', u: 'V' }]],
    ['an array whose sum is a text', [{ n: 'bob', s: 'hello' }]],
  ])('is not SenML if it is %s', (_, value) => {
    expect(looksLikeSenml(value)).toBe(false)
  })
})

describe('base64url', () => {
  it.each([
    ['', []],
    ['AA', [0]],
    ['aGk', [104, 105]],
    ['aGkgCg', [104, 105, 32, 10]],
    ['-_-_', [251, 255, 191]],
    ['_w', [255]],
  ])('writes %s for the bytes %j, and reads it back', (text, bytes) => {
    expect(encodeBase64url(Uint8Array.from(bytes))).toBe(text)
    expect(decodeBase64url(text)).toEqual(Uint8Array.from(bytes))
    expect(isBase64url(text)).toBe(true)
  })

  it('is what the platform writes, for every length and byte', () => {
    for (let length = 0; length < 260; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 255)

      expect(encodeBase64url(bytes)).toBe(Buffer.from(bytes).toString('base64url'))
      expect(decodeBase64url(encodeBase64url(bytes))).toEqual(bytes)
    }
  })
})

describe('content formats', () => {
  it('have the numbers and media types that RFC 8428 and RFC 8790 give them', () => {
    expect(Object.values(ContentFormat).map((format) => [format, mediaTypeOf(format)])).toEqual([
      [110, 'application/senml+json'],
      [111, 'application/sensml+json'],
      [112, 'application/senml+cbor'],
      [113, 'application/sensml+cbor'],
      [114, 'application/senml-exi'],
      [115, 'application/sensml-exi'],
      [310, 'application/senml+xml'],
      [311, 'application/sensml+xml'],
      [320, 'application/senml-etch+json'],
      [322, 'application/senml-etch+cbor'],
    ])
  })

  it('are found by media type, in any case and with parameters', () => {
    expect(contentFormatOf('application/senml+json')).toBe(ContentFormat.senmlJson)
    expect(contentFormatOf('Application/SenML+CBOR; charset=utf-8')).toBe(ContentFormat.senmlCbor)
    expect(contentFormatOf('application/json')).toBeUndefined()
    expect(contentFormatOf('')).toBeUndefined()
  })
})

describe('a fragment identifier', () => {
  it.each([
    ['rec=3', [2]],
    ['rec=3-6', [2, 3, 4, 5]],
    ['rec=19-*', [18, 19]],
    ['rec=3,5', [2, 4]],
    ['#rec=3-5,10,19-*', [2, 3, 4, 9, 18, 19]],
  ])('of RFC 8428 section 9.1, %s, selects of twenty records those at %j', (fragment, indexes) => {
    expect(selectByFragment(fragment, 20)).toEqual(indexes)
  })

  it('selects each record once, in order, and none that is not there', () => {
    expect(selectByFragment('rec=4-5,1-4,2,5', 20)).toEqual([0, 1, 2, 3, 4])
    expect(selectByFragment('rec=1,21-30,999999999999999', 20)).toEqual([0])
  })

  it.each([
    '',
    'rec=',
    'rec=0',
    'rec=a',
    'rec=1-',
    'rec=*',
    'rec=3-2',
    'rec=1,,2',
    'rec=1 ',
    'row=1',
    'rec=-1',
    'rec=01',
  ])('is not %j', (fragment) => {
    expect(failureOf(() => selectByFragment(fragment, 20))).toEqual({ code: 'invalid_fragment' })
  })
})

describe('a name', () => {
  it('starts with a letter or a digit, and goes on with few other characters', () => {
    expect(['a', '0:/-_.Z'].every(isName)).toBe(true)
    expect(['', '/a', 'a b', 'é'].some(isName)).toBe(false)
  })
})

describe('the length of a text in UTF-8', () => {
  it.each(['', 'a', 'é', '€', '😀', 'a😀é€'])('is that of its bytes: %j', (text) => {
    expect(utf8Length(text)).toBe(new TextEncoder().encode(text).length)
  })
})
