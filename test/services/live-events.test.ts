import { describe, expect, it } from 'vitest'
import type { Msg } from 'nats'
import type { Pulled } from '../../platform/bus/puller.ts'
import { createLiveEventCache } from '../../services/messages/live-events.ts'

const SUBJECT = 'm.11111111-1111-4111-8111-111111111111.c.22222222-2222-4222-8222-222222222222'

function pulled(seq: number, payload: unknown): Pulled {
  const reply = `$JS.ACK.messages.reader.1.${seq}.${seq}.1700000000000000000.0`
  const data = Buffer.from(JSON.stringify(payload))
  return { seq, pending: 0, msg: { subject: SUBJECT, reply, data, headers: undefined } as unknown as Msg }
}

describe('the events of a message', () => {
  const pack = Array.from({ length: 100 }, (_, v) => ({ n: `n${v % 10}`, v }))

  it('are decoded and written once for all who ask', () => {
    const cache = createLiveEventCache()
    const [first, second] = [cache.eventsOf(pulled(1, pack)), cache.eventsOf(pulled(1, pack))]
    expect(second).toBe(first)
    expect(first.text(99)).toMatch(/^id: 1-99\ndata: .*"name":"n9".*"value":99/)
  })

  it('are found by name, in order', () => {
    const events = createLiveEventCache().eventsOf(pulled(1, pack))
    expect(events.matching({})).toHaveLength(100)
    expect(events.matching({ name: ['n7', 'n3', 'n7', 'none'] }).slice(0, 4)).toEqual([3, 7, 13, 17])
    expect(events.matching({ name: ['none'] })).toEqual([])
    expect(events.matching({ protocol: 'mqtt' })).toEqual([])
  })

  it('are forgotten, the oldest first, when too many bytes are remembered', () => {
    const cache = createLiveEventCache()
    const large = (seq: number) => pulled(seq, [{ n: 'x', vs: 'x'.repeat(1_500_000) }])
    const [first, third] = [cache.eventsOf(large(1)), cache.eventsOf(large(2)) && cache.eventsOf(large(3))]
    expect(cache.eventsOf(large(3))).toBe(third)
    expect(cache.eventsOf(large(1))).not.toBe(first)
  })

  it('of a stream that was made anew are none of the old one', () => {
    const cache = createLiveEventCache()
    const before = cache.eventsOf(pulled(1, pack))
    const anew = pulled(1, [{ n: 'new', v: 1 }])
    const reply = anew.msg.reply?.replace('1700000000', '1800000000')
    const after = cache.eventsOf({ ...anew, msg: { ...anew.msg, reply } })
    expect(before.matching({})).toHaveLength(100)
    expect(after.matching({})).toHaveLength(1)
  })
})
