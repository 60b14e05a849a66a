import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createSessions } from '../../../adapters/mqtt/sessions.ts'
import type { Session, Sessions } from '../../../adapters/mqtt/sessions.ts'

const MAX_KEPT = 4

let sessions: Sessions
let evicted: string[]

beforeEach(() => {
  evicted = []
  sessions = createSessions({
    outbox: { maxQueuedMessages: 1, maxInflight: 1, delivered: { value: 0 } },
    maxKept: MAX_KEPT,
    onDrop: () => undefined,
    onEvict: ({ id }) => evicted.push(id),
    onEnd: () => undefined,
  })
})
afterEach(() => sessions.stop())

/** A client of its own, which comes and goes. @returns whether its session was there */
function visit(domainId: string, name: string): boolean {
  const principal: Session['principal'] = { kind: 'client', id: `${domainId}-${name}`, domainId }
  const { session, isPresent } = sessions.open(`${principal.id}:x`, principal, false)
  sessions.close(session, 3_600)
  return isPresent
}

describe('when more sessions are kept than may be', () => {
  it('a domain with ever more clients pushes out its own, longest away first, and none of another', () => {
    visit('modest', 'only')
    for (let index = 0; index < 10; index += 1) visit('greedy', `${index}`)
    expect(evicted).toEqual(Array.from({ length: 7 }, (_, index) => `greedy-${index}:x`))
    expect(visit('modest', 'only')).toBe(true)
    expect(visit('greedy', '9')).toBe(true)
    expect(visit('greedy', '0')).toBe(false)
  })

  it('the domain that has most makes room for one that has fewer', () => {
    for (let index = 0; index < MAX_KEPT; index += 1) visit('greedy', `${index}`)
    visit('modest', 'only')
    expect(evicted).toEqual(['greedy-0:x'])
  })

  it('a session that was opened again counts as away from then on', () => {
    for (let index = 0; index < MAX_KEPT; index += 1) visit('domain', `${index}`)
    visit('domain', '0')
    visit('domain', 'new')
    expect(evicted).toEqual(['domain-1:x'])
  })
})
