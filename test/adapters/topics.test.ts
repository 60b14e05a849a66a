import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  InvalidTopic,
  matchesFilter,
  parseTopicFilter,
  parseTopicName,
  parseTopicPath,
  TOPIC_LIMITS,
} from '../../adapters/topics.ts'
import { decodeLevel, encodeLevel, messageSubject, parseMessageSubject } from '../../platform/bus/subject.ts'

/** A level as MQTT allows it in a topic name: any well-formed text without `/`, `+`, `#` and U+0000. */
const level = fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll(/[/+#\0]/g, ''))
const levels = fc.array(level, { maxLength: 8 })
const reference = fc.stringMatching(/^[a-zA-Z0-9_-]{1,36}$/)

describe('levels on the bus', () => {
  it('come back as they were, and are one token of a subject each', () => {
    fc.assert(
      fc.property(level, (text) => {
        const token = encodeLevel(text)
        expect(decodeLevel(token)).toBe(text)
        expect(token).not.toMatch(/[\s.*>]|^$/)
      }),
    )
  })

  it('make subjects that are read back, and never two topics the same', () => {
    fc.assert(
      fc.property(reference, reference, levels, levels, (domainId, channelId, one, other) => {
        const subject = messageSubject({ domainId, channelId, levels: one })
        expect(parseMessageSubject(subject)).toEqual({ domainId, channelId, levels: one })
        const isSame = JSON.stringify(one) === JSON.stringify(other)
        expect(messageSubject({ domainId, channelId, levels: other }) === subject).toBe(isSame)
      }),
    )
  })

  it.each(['x.y.c.z', 'm.d.x.c', 'm.d.c', 'm..c.x', 'm.d.c.'])('are not read from %s', (subject) => {
    expect(parseMessageSubject(subject)).toBeUndefined()
  })
})

describe('a topic over MQTT', () => {
  it('is taken in both forms, with and without a leading slash, empty levels kept', () => {
    fc.assert(
      fc.property(reference, reference, levels, fc.boolean(), (domain, channel, rest, hasSlash) => {
        const slash = hasSlash ? '/' : ''
        const behind = rest.map((text) => `/${text}`).join('')
        expect(parseTopicName(`${slash}m/${domain}/c/${channel}${behind}`)).toEqual({
          domain,
          channel,
          levels: rest,
          prefix: `${slash}m/${domain}/c/${channel}`,
        })
        expect(parseTopicName(`${slash}channels/${channel}/messages${behind}`)).toEqual({
          domain: undefined,
          channel,
          levels: rest,
          prefix: `${slash}channels/${channel}/messages`,
        })
      }),
    )
  })

  it.each([
    '',
    '/',
    'm/d/c',
    'm/d/x/c',
    'm//c/ch',
    'm/d/c/',
    'm/d e/c/ch',
    `m/${'d'.repeat(37)}/c/ch`,
    'channels//messages',
    '$SYS/broker',
    '//m/d/c/ch',
    'm/d/c/ch/+',
    'm/d/c/ch/a#',
    `m/d/c/ch${'/a'.repeat(TOPIC_LIMITS.maxLevels)}`,
  ])('is refused as a name: %j', (text) => {
    expect(() => parseTopicName(text)).toThrow(InvalidTopic)
  })

  it.each(['m/d/c/ch/#', 'm/d/c/ch/+/x', '/channels/ch/messages/+/#'])('is taken as a filter: %s', (text) => {
    expect(parseTopicFilter(text).levels.length).toBeGreaterThan(0)
  })

  it.each([
    '#',
    '+',
    '+/d/c/ch',
    'm/+/c/ch',
    'm/d/c/#',
    'm/d/c/ch/#/a',
    'm/d/c/ch/a+',
    'm/d/c/ch/a#',
    '$SYS/#',
  ])('is refused as a filter: %s', (text) => {
    expect(() => parseTopicFilter(text)).toThrow(InvalidTopic)
  })
})

describe('a topic as a path', () => {
  it.each([
    ['/m/d/c/ch', 'd', 'ch', []],
    ['/http/m/d/c/ch/', 'd', 'ch', []],
    ['/ws/m/d/c/ch/a//b/', 'd', 'ch', ['a', 'b']],
    ['/channels/ch/messages/a.b', undefined, 'ch', ['a.b']],
    ['/http/c/ch/m/x', undefined, 'ch', ['x']],
    ['/m/d/c/ch/%C3%BC%25', 'd', 'ch', ['ü%']],
  ])('is taken: %s', (path, domain, channel, behind) => {
    expect(parseTopicPath(path, 'publish')).toMatchObject({ domain, channel, levels: behind })
  })

  it.each(['/', '/users', '/m/d', '/m/d/x/ch', '/channels/ch', '/d/channels/ch/messages', '/mqtt'])(
    'is left to others: %s',
    (path) => {
      expect(parseTopicPath(path, 'publish')).toBeUndefined()
    },
  )

  it.each(['+', '%2B', '%23', '*', '%3E', 'a%20b', 'a%2Fb', '..', '%2e%2e', '%00', '%zz', '%ff'])(
    'refuses to publish on %s',
    (behind) => {
      expect(() => parseTopicPath(`/m/d/c/ch/${behind}`, 'publish')).toThrow(InvalidTopic)
    },
  )

  it('takes whole-level wildcards to subscribe, and # at the end alone', () => {
    expect(parseTopicPath('/m/d/c/ch/+/a/%23', 'subscribe')?.levels).toEqual(['+', 'a', '#'])
    expect(() => parseTopicPath('/m/d/c/ch/%23/a', 'subscribe')).toThrow(InvalidTopic)
    expect(() => parseTopicPath('/m/d/c/ch/a+', 'subscribe')).toThrow(InvalidTopic)
  })

  it('never fails in another way, whatever it is given', () => {
    fc.assert(
      fc.property(fc.webPath(), fc.constantFrom('', '/m/d/c/ch', '/channels/x/messages'), (rest, start) => {
        try {
          parseTopicPath(start + rest, 'subscribe')
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidTopic)
        }
      }),
    )
  })
})

describe('a filter behind the channel', () => {
  it.each([
    ['', '', true],
    ['', '#', true],
    ['a', '#', true],
    ['a/b', '#', true],
    ['a', 'a/#', true],
    ['a/b/c', 'a/#', true],
    ['b', 'a/#', false],
    ['a/b', 'a/+', true],
    ['a', 'a/+', false],
    ['a/b/c', 'a/+', false],
    ['a', '+', true],
    ['', '+', false],
    ['a/b', 'a', false],
    ['a', 'a/b', false],
    ['a/x/c', 'a/+/c', true],
  ])('%j against %j: %s', (topic, filter, isMatch) => {
    const split = (text: string): string[] => (text === '' ? [] : text.split('/'))
    expect(matchesFilter(split(topic), split(filter))).toBe(isMatch)
  })

  it('matches an empty level like any other', () => {
    expect(matchesFilter(['', 'a'], ['+', 'a'])).toBe(true)
    expect(matchesFilter([''], [])).toBe(false)
    expect(matchesFilter([], [''])).toBe(false)
  })

  it('matches itself, with + for any of its levels and # for any of its ends', () => {
    fc.assert(
      fc.property(levels, fc.nat(8), (topic, at) => {
        expect(matchesFilter(topic, topic)).toBe(true)
        expect(matchesFilter(topic, [...topic.slice(0, at), '#'])).toBe(true)
        expect(
          matchesFilter(
            topic,
            topic.map((text, index) => (index === at ? '+' : text)),
          ),
        ).toBe(true)
      }),
    )
  })
})
