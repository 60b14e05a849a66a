/**
 * A map that costs next to nothing until something is in it: most of those that a connection has stay empty, and an empty
 * `Map` has a table already.
 */
export class SparseMap<K, V> {
  #map: Map<K, V> | undefined

  get size(): number {
    return this.#map?.size ?? 0
  }

  get(key: K): V | undefined {
    return this.#map?.get(key)
  }

  has(key: K): boolean {
    return this.#map?.has(key) ?? false
  }

  set(key: K, value: V): void {
    this.#map ??= new Map()
    this.#map.set(key, value)
  }

  /** @returns whether it was there */
  delete(key: K): boolean {
    return this.#map?.delete(key) ?? false
  }

  keys(): Iterable<K> {
    return this.#map?.keys() ?? []
  }

  values(): Iterable<V> {
    return this.#map?.values() ?? []
  }

  [Symbol.iterator](): Iterator<[K, V]> {
    return (this.#map ?? NOTHING)[Symbol.iterator]() as Iterator<[K, V]>
  }
}

const NOTHING: readonly never[] = []
