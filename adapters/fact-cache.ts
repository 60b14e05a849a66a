import { LRUCache } from 'lru-cache'
import { isTouched } from './authority.ts'
import type { AuthorityChange, AuthorityFacts } from './authority.ts'

interface Entry<V> {
  readonly value: V
  readonly facts: AuthorityFacts
}

/**
 * A bounded cache whose entries say what they rest on, so that a change evicts exactly the ones it touches, without a walk
 * over all of them: an index by each fact names the candidates.
 */
export class FactCache<V> {
  readonly #entries: LRUCache<string, Entry<V>>
  readonly #keysByFact = new Map<string, Set<string>>()

  constructor(max: number) {
    this.#entries = new LRUCache<string, Entry<V>>({
      max,
      dispose: (entry, key) => this.#unindex(entry.facts, key),
    })
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)?.value
  }

  set(key: string, value: V, facts: AuthorityFacts, ttlMs: number): void {
    // Before the index is written: replacing an entry disposes of the old one's index.
    this.#entries.delete(key)
    this.#entries.set(key, { value, facts }, { ttl: ttlMs })
    for (const fact of factsOf(facts)) {
      const keys = this.#keysByFact.get(fact)
      if (keys) keys.add(key)
      else this.#keysByFact.set(fact, new Set([key]))
    }
  }

  evict(change: AuthorityChange): void {
    for (const key of this.#candidates(change)) {
      const entry = this.#entries.peek(key, { allowStale: true })
      if (entry && isTouched(change, entry.facts)) this.#entries.delete(key)
    }
  }

  clear(): void {
    this.#entries.clear()
  }

  /** Keys of a superset of what the change touches, by the fact of it that is the most telling. */
  #candidates(change: AuthorityChange): string[] {
    const ids = [...(change.clientIds ?? []), ...(change.userIds ?? [])]
    if (ids.length > 0) return this.#keysOf(ids, 'principal')
    // Ahead of the domain: of a domain's entries nearly all are its clients', and roles are about its users.
    if (change.kind !== undefined) return this.#keysOf([change.kind], 'kind')
    if (change.channelIds) return this.#keysOf(change.channelIds, 'channel')
    if (change.domainId !== undefined) return this.#keysOf([change.domainId], 'domain')
    return [...this.#entries.keys()]
  }

  #keysOf(ids: readonly string[], fact: string): string[] {
    const found: string[] = []
    // Entries that do not know the fact stand under `?`: a change may touch them as well.
    for (const id of [...ids, '?']) found.push(...(this.#keysByFact.get(`${fact}:${id}`) ?? []))
    return found
  }

  #unindex(facts: AuthorityFacts, key: string): void {
    for (const fact of factsOf(facts)) {
      const keys = this.#keysByFact.get(fact)
      keys?.delete(key)
      if (keys?.size === 0) this.#keysByFact.delete(fact)
    }
  }
}

function factsOf({ domainId, channelId, principal }: AuthorityFacts): string[] {
  const facts = []
  // `null` is left out: no change that names such a thing has this entry among its candidates.
  if (domainId !== null) facts.push(`domain:${domainId ?? '?'}`)
  if (channelId !== null) facts.push(`channel:${channelId ?? '?'}`)
  if (principal !== null) facts.push(`principal:${principal?.id ?? '?'}`, `kind:${principal?.kind ?? '?'}`)
  return facts
}
