/**
 * Sets a field under whatever label the input chose. A plain assignment to `__proto__` would change what the object
 * inherits instead.
 */
export function setField(target: Record<string, unknown>, label: string, value: unknown): void {
  if (label === '__proto__') {
    Object.defineProperty(target, label, { value, writable: true, enumerable: true, configurable: true })
  } else {
    target[label] = value
  }
}

/** Whether the value is an object as a literal or a parser makes it, and not a `Date`, a `Map` or the like. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
