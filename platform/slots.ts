/** Lets so many work at a time, and shares them out: whoever has the fewest at work goes first, so nobody keeps all of them. */
export interface Slots {
  /** Whether somebody waits: then those who have worked for a while should make room. */
  readonly isWanted: boolean
  /** Resolves when it is the owner's turn. {@link free} must follow. */
  take(owner: string): Promise<void>
  free(owner: string): void
}

interface Owner {
  taken: number
  readonly waiting: (() => void)[]
}

export function createSlots(count: number): Slots {
  /** Those that have or want slots; who was given one last stands last, and so owners with as many take turns. */
  const owners = new Map<string, Owner>()
  let taken = 0
  let waiting = 0

  function give(name: string, owner: Owner): void {
    owner.taken += 1
    taken += 1
    owners.delete(name)
    owners.set(name, owner)
  }

  function next(): [string, Owner] | undefined {
    let found: [string, Owner] | undefined
    for (const each of owners) {
      if (each[1].waiting.length === 0) continue
      if (!found || each[1].taken < found[1].taken) found = each
      if (found[1].taken === 0) break
    }
    return found
  }

  return {
    get isWanted() {
      return waiting > 0
    },
    async take(name) {
      const owner = owners.get(name) ?? { taken: 0, waiting: [] }
      if (taken < count) return give(name, owner)
      owners.set(name, owner)
      waiting += 1
      await new Promise<void>((resolve) => owner.waiting.push(resolve))
    },
    free(name) {
      const owner = owners.get(name)
      if (!owner) return
      owner.taken -= 1
      taken -= 1
      if (owner.taken === 0 && owner.waiting.length === 0) owners.delete(name)
      const found = next()
      if (!found) return
      give(...found)
      waiting -= 1
      found[1].waiting.shift()?.()
    },
  }
}
