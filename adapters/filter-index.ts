/** Filters that have their wildcards in the same places. */
interface Shape<T> {
  /** Levels, a last `#` not counted. */
  readonly depth: number
  /** Whether any number of levels may follow. */
  readonly isOpen: boolean
  /** Which of the levels are literal. */
  readonly literals: readonly number[]
  /** By the literal levels. */
  readonly values: Map<string, Set<T>>
}

/**
 * What stands behind filters with wildcards, found by the levels of a message.
 *
 * One look-up for each way of placing wildcards, whatever number of filters there is: `+/temp` and `+/humidity` are one way, `#`
 * is another. A tree by level would have to follow two branches at each level, and so can be made to walk through all filters
 * that differ in nothing but where their `+` stand; and it takes a node for each level of a filter.
 */
export class FilterIndex<T> {
  readonly #shapes = new Map<string, Shape<T>>()

  /** Look-ups that a message costs at the most. */
  get width(): number {
    return this.#shapes.size
  }

  /** Whether {@link width} stays as it is when the filter is added. */
  hasShapeOf(filter: readonly string[]): boolean {
    return this.#shapes.has(signatureOf(filter))
  }

  add(filter: readonly string[], value: T): void {
    const signature = signatureOf(filter)
    let shape = this.#shapes.get(signature)
    if (!shape) {
      shape = shapeOf(filter)
      this.#shapes.set(signature, shape)
    }
    const key = keyOf(filter, shape.literals)
    const values = shape.values.get(key)
    if (values) values.add(value)
    else shape.values.set(key, new Set([value]))
  }

  delete(filter: readonly string[], value: T): void {
    const signature = signatureOf(filter)
    const shape = this.#shapes.get(signature)
    if (!shape) return
    const key = keyOf(filter, shape.literals)
    const values = shape.values.get(key)
    if (values?.delete(value) && values.size === 0) shape.values.delete(key)
    if (shape.values.size === 0) this.#shapes.delete(signature)
  }

  /** What stands behind each filter that the levels of a message match. */
  find(levels: readonly string[]): ReadonlySet<T>[] {
    const found: ReadonlySet<T>[] = []
    for (const { depth, isOpen, literals, values } of this.#shapes.values()) {
      if (isOpen ? depth > levels.length : depth !== levels.length) continue
      const matching = values.get(keyOf(levels, literals))
      if (matching) found.push(matching)
    }
    return found
  }

  *all(): Iterable<T> {
    for (const { values } of this.#shapes.values()) for (const each of values.values()) yield* each
  }
}

function signatureOf(filter: readonly string[]): string {
  let signature = ''
  for (const level of filter) signature += level === '+' || level === '#' ? level : 'x'
  return signature
}

function shapeOf<T>(filter: readonly string[]): Shape<T> {
  const isOpen = filter.at(-1) === '#'
  const depth = isOpen ? filter.length - 1 : filter.length
  const literals = [...filter.keys()].filter((index) => index < depth && filter[index] !== '+')
  return { depth, isOpen, literals, values: new Map() }
}

/** Levels of a filter hold no slash, so that nothing but the same levels makes the same key as theirs. */
function keyOf(levels: readonly string[], literals: readonly number[]): string {
  let key = ''
  for (const index of literals) key += `/${levels[index]}`
  return key
}
