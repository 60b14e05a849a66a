/** A place where topics part, or one ends. */
interface Node<T> {
  /** Levels that lead here from the node above, one at least. */
  run: readonly string[]
  value: T | undefined
  children: Map<string, Node<T>> | undefined
}

/**
 * Values by topic, found by filter: a look-up walks where the filter leads, not through all topics.
 *
 * Levels that are nobody's parting stand together in one node. So there are at most two nodes a topic, however deep it is, and
 * nobody fills the memory with topics of a hundred levels.
 */
export class TopicTree<T> {
  readonly #root: Node<T> = { run: [], value: undefined, children: undefined }
  #visits = 0

  /** Nodes that look-ups by filter have come to so far. */
  get visits(): number {
    return this.#visits
  }

  get isEmpty(): boolean {
    return this.#root.value === undefined && this.#root.children === undefined
  }

  get(topic: readonly string[]): T | undefined {
    return this.#pathTo(topic)?.at(-1)?.value
  }

  set(topic: readonly string[], value: T): void {
    let node = this.#root
    let at = 0
    while (at < topic.length) {
      const first = topic[at] as string
      node.children ??= new Map()
      let child = node.children.get(first)
      if (!child) {
        child = { run: topic.slice(at), value: undefined, children: undefined }
        node.children.set(first, child)
      } else {
        const shared = sharedWith(child.run, topic, at)
        if (shared < child.run.length) {
          child = part(child, shared)
          node.children.set(first, child)
        }
      }
      at += child.run.length
      node = child
    }
    node.value = value
  }

  delete(topic: readonly string[]): void {
    const path = this.#pathTo(topic)
    const node = path?.pop()
    if (!path || !node) return
    node.value = undefined
    const above = path.pop()
    if (!above) return
    if (node.children) return join(above, node)
    above.children?.delete(node.run[0] as string)
    if (above.children?.size === 0) above.children = undefined
    const next = path.pop()
    if (next) join(next, above)
  }

  /** The values of the topics that the filter matches, in no order. */
  find(filter: readonly string[]): T[] {
    const found: T[] = []
    this.#walk(this.#root, filter, 0, found)
    return found
  }

  #pathTo(topic: readonly string[]): Node<T>[] | undefined {
    const path = [this.#root]
    let node = this.#root
    for (let at = 0; at < topic.length; at += node.run.length) {
      const child = node.children?.get(topic[at] as string)
      if (!child || sharedWith(child.run, topic, at) < child.run.length) return undefined
      path.push(child)
      node = child
    }
    return path
  }

  /** @param start of what of the filter lies at the node's run */
  #walk(node: Node<T>, filter: readonly string[], start: number, found: T[]): void {
    this.#visits += 1
    let at = start
    for (const level of node.run) {
      const wanted = filter[at]
      if (wanted === '#') return this.#takeAll(node, found)
      if (wanted !== '+' && wanted !== level) return
      at += 1
    }
    const wanted = filter[at]
    if (wanted === '#') return this.#takeAll(node, found)
    if (wanted === undefined) {
      if (node.value !== undefined) found.push(node.value)
    } else if (wanted === '+') {
      for (const child of node.children?.values() ?? []) this.#walk(child, filter, at, found)
    } else {
      const child = node.children?.get(wanted)
      if (child) this.#walk(child, filter, at, found)
    }
  }

  #takeAll(node: Node<T>, found: T[]): void {
    this.#visits += 1
    if (node.value !== undefined) found.push(node.value)
    for (const child of node.children?.values() ?? []) this.#takeAll(child, found)
  }
}

/** How many levels of a run a topic has too, from one of its levels on. */
function sharedWith(run: readonly string[], topic: readonly string[], at: number): number {
  let shared = 0
  while (shared < run.length && run[shared] === topic[at + shared]) shared += 1
  return shared
}

/** @returns a new node above, that has the first levels of the run */
function part<T>(node: Node<T>, shared: number): Node<T> {
  const { run } = node
  node.run = run.slice(shared)
  return { run: run.slice(0, shared), value: undefined, children: new Map([[run[shared] as string, node]]) }
}

/** Takes a node out at which nothing parts or ends any more. */
function join<T>(above: Node<T>, node: Node<T>): void {
  if (node.value !== undefined || node.children?.size !== 1) return
  for (const only of node.children.values()) {
    only.run = [...node.run, ...only.run]
    above.children?.set(node.run[0] as string, only)
  }
}
