/** A whole number from 0 up to, and without, the one given. */
export type Random = (below: number) => number

/** Mulberry32: small, and the same everywhere. */
export function createRandom(seed: number): Random {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T
}
