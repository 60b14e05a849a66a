import { RateLimited } from '../../platform/errors.ts'

/** Pages that have been written and not yet taken by their readers, in bytes: of all domains together, and of one. */
export interface UnreadLimits {
  readonly maxBytes: number
  readonly maxDomainBytes: number
}

export type Unread = ReturnType<typeof createUnread>

interface Page {
  readonly bytes: number
  readonly cut: () => void
}

interface Held {
  /** Oldest first. */
  readonly pages: Set<Page>
  bytes: number
}

/** Bounds what readers that ask and do not read make us hold, so that those of one domain are no matter to the others. */
export function createUnread({ maxBytes, maxDomainBytes }: UnreadLimits) {
  const domains = new Map<string, Held>()
  let all = 0

  function remove(domainId: string, page: Page): void {
    const held = domains.get(domainId)
    if (!held?.pages.delete(page)) return
    held.bytes -= page.bytes
    all -= page.bytes
    if (held.pages.size === 0) domains.delete(domainId)
  }

  /** Of whoever holds most; that nobody has room is not for others to bear. */
  function cutOne(): void {
    const [largest] = [...domains].sort(([, a], [, b]) => b.bytes - a.bytes)
    if (!largest) return
    const [domainId, { pages }] = largest
    const [oldest] = pages
    if (!oldest) return
    remove(domainId, oldest)
    oldest.cut()
  }

  return {
    bytes: () => all,

    /**
     * Makes room for a page before it is read; how large it is shows only then.
     *
     * @throws {RateLimited} the domain has as much unread as it may
     */
    makeRoom(domainId: string): void {
      if ((domains.get(domainId)?.bytes ?? 0) >= maxDomainBytes)
        throw new RateLimited(5, { code: 'too_many_unread', message: TOO_MANY })
      while (all >= maxBytes) cutOne()
    },

    /**
     * Counts a page until what is returned is called.
     *
     * @param cut ends the answer when there must be room for others
     */
    hold(domainId: string, bytes: number, cut: () => void): () => void {
      const page = { bytes, cut }
      const held = domains.get(domainId) ?? { pages: new Set<Page>(), bytes: 0 }
      domains.set(domainId, held)
      held.pages.add(page)
      held.bytes += bytes
      all += bytes
      return () => remove(domainId, page)
    },
  }
}

const TOO_MANY = 'too many pages have been asked for and not yet read'
