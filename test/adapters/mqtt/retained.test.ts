import { beforeEach, describe, expect, it } from 'vitest'
import { createRetained } from '../../../adapters/mqtt/retained.ts'
import type { Retained } from '../../../adapters/mqtt/retained.ts'
import type { Message } from '../../../platform/bus/message.ts'
import type { MessageProperties } from '../../../platform/bus/properties.ts'

let retained: Retained
let evicted: string[]

beforeEach(() => {
  evicted = []
  retained = createRetained({
    maxMessages: 10,
    maxBytes: 1_000,
    onEvict: ({ domainId, levels }) => evicted.push(`${domainId}/${levels.join('/')}`),
  })
})

function set(domainId: string, level: string, sizeBytes = 1, properties?: MessageProperties): void {
  const message: Message = {
    domainId,
    channelId: `channel of ${domainId}`,
    levels: [level],
    publisher: '',
    protocol: 'mqtt',
    contentType: '',
    receivedAtNs: 0n,
    payload: Buffer.alloc(sizeBytes),
    qos: 0,
    retain: true,
    properties,
  }
  retained.set(message)
}

const kept = (domainId: string): (string | undefined)[] =>
  retained.find(`channel of ${domainId}`, ['#']).found.map(({ levels }) => levels[0])

it('looks where a filter leads, not at all that is retained', () => {
  for (let index = 0; index < 10; index += 1) set('domain', `${index}`)
  expect(retained.find('channel of domain', ['7', '#'])).toMatchObject({ found: [{ levels: ['7'] }] })
  expect(retained.find('channel of domain', ['7', '#']).visits).toBeLessThan(4)
  expect(retained.find('channel of domain', ['nothing', '#'])).toEqual({ found: [], visits: 1 })
})

describe('when more messages are retained than may be', () => {
  it('a domain with ever more topics pushes out its own, oldest first, and none of another', () => {
    set('modest', 'state')
    for (let index = 0; index < 20; index += 1) set('greedy', `${index}`)
    expect(kept('modest')).toEqual(['state'])
    expect(kept('greedy')).toEqual(['11', '12', '13', '14', '15', '16', '17', '18', '19'])
    expect(evicted).toHaveLength(11)
  })

  it('a domain with ever more bytes does too', () => {
    for (let index = 0; index < 5; index += 1) set('modest', `${index}`)
    for (let index = 0; index < 5; index += 1) set('greedy', `${index}`, 400)
    expect(kept('modest')).toHaveLength(5)
    expect(kept('greedy')).toEqual(['3', '4'])
  })

  it('the domain that has most makes room for one that has less', () => {
    for (let index = 0; index < 10; index += 1) set('greedy', `${index}`)
    set('modest', 'state')
    expect(kept('modest')).toEqual(['state'])
    expect(evicted).toEqual(['greedy/0'])
  })

  it('a message that was set again is the newest, and one that was removed takes no room', () => {
    for (let index = 0; index < 10; index += 1) set('domain', `${index}`)
    set('domain', '0')
    set('domain', '5', 0)
    set('domain', 'new')
    expect(evicted).toEqual([])
    set('domain', 'newer')
    expect(evicted).toEqual(['domain/1'])
  })

  it('what its properties hold counts too', () => {
    for (let index = 0; index < 5; index += 1) {
      set('domain', `${index}`, 1, { userProperties: [['a', 'x'.repeat(300)]] })
    }
    expect(kept('domain')).toEqual(['2', '3', '4'])
  })

  it('one that has expired is found no more, and takes no room once it was swept away', () => {
    for (let index = 0; index < 10; index += 1) set('domain', `${index}`, 1, { expiryS: 1 })
    expect(kept('domain')).toEqual([])
    expect(retained.size.messages).toBe(10)
    expect(retained.sweep()).toHaveLength(10)
    for (let index = 0; index < 10; index += 1) set('other', `${index}`)
    expect(evicted).toEqual([])
  })
})
