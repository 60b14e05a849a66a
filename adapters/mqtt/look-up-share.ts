/** Nodes that a domain's look-ups come to in a row: about a millisecond. A single one can come to more, and is not cut. */
const MAX_VISITS = 10_000

/** Shares out the process's time for look-ups: a domain that has used its share lets everybody else go on first. */
export interface LookUpShare {
  /** Does it when it is the domain's turn. */
  run<T extends { readonly visits: number }>(domainId: string, lookUp: () => T): Promise<T>
}

export function createLookUpShare(maxVisits = MAX_VISITS): LookUpShare {
  const used = new Map<string, number>()
  let next: Promise<void> | undefined

  /** The event loop has been round: sockets were read, and timers have run. */
  function nextRound(): Promise<void> {
    next ??= new Promise((resolve) => {
      setImmediate(() => {
        next = undefined
        used.clear()
        resolve()
      })
    })
    return next
  }

  return {
    async run(domainId, lookUp) {
      while ((used.get(domainId) ?? 0) >= maxVisits) await nextRound()
      const result = lookUp()
      used.set(domainId, (used.get(domainId) ?? 0) + result.visits)
      return result
    },
  }
}
