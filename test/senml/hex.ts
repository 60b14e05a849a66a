/** Bytes of a hex dump; blanks and line ends are for the eye. */
export function hex(dump: string): Uint8Array {
  const digits = dump.replace(/\s+/g, '')
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16),
  )
}
