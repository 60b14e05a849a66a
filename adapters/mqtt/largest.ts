/**
 * Which domain holds most, and so makes room when all of them together hold too much.
 *
 * @param total  what all domains hold together
 * @param asking the domain that wants room; it makes it itself when nobody holds more
 */
export function largestOf<T>(
  byDomain: ReadonlyMap<string, T>,
  sizeOf: (held: T) => number,
  total: number,
  asking: string,
): T | undefined {
  let largest = byDomain.get(asking)
  let size = largest === undefined ? 0 : sizeOf(largest)
  // No other can hold more: a tenant that fills everything is no reason to look at all the others each time.
  if (size * 2 >= total) return largest
  for (const held of byDomain.values()) {
    if (sizeOf(held) > size) [largest, size] = [held, sizeOf(held)]
  }
  return largest
}
