/** Lets so many work at a time; others wait, those who came first go first. */
export interface Slots {
  /** Resolves when it is one's turn. {@link free} must follow. */
  take(): Promise<void>
  free(): void
}

export function createSlots(count: number): Slots {
  const waiting: (() => void)[] = []
  let taken = 0

  return {
    async take() {
      if (taken < count) taken += 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
    },
    free() {
      const next = waiting.shift()
      if (next) next()
      else taken -= 1
    },
  }
}
