const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Value of each ASCII character, 64 for those outside the alphabet. */
const VALUES = new Uint8Array(128).fill(64)
for (let i = 0; i < 64; i++) VALUES[ALPHABET.charCodeAt(i)] = i

function valueAt(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return code < 128 ? (VALUES[code] as number) : 64
}

/**
 * Whether the text is base64url without padding (RFC 4648 section 5; RFC 8428 section 4.3). The bits behind the last
 * byte have to be zero, so that each byte string has exactly one text.
 */
export function isBase64url(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (valueAt(text, i) === 64) return false
  }
  const last = valueAt(text, text.length - 1)
  switch (text.length % 4) {
    case 1:
      return false
    case 2:
      return (last & 0b1111) === 0
    case 3:
      return (last & 0b11) === 0
    default:
      return true
  }
}

/** Writes bytes as base64url without padding, the form of `vd`. */
export function encodeBase64url(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i
    const group =
      ((bytes[i] as number) << 16) |
      ((left > 1 ? (bytes[i + 1] as number) : 0) << 8) |
      (left > 2 ? (bytes[i + 2] as number) : 0)
    text += ALPHABET.charAt(group >> 18) + ALPHABET.charAt((group >> 12) & 63)
    if (left > 1) text += ALPHABET.charAt((group >> 6) & 63)
    if (left > 2) text += ALPHABET.charAt(group & 63)
  }
  return text
}

/**
 * Reads the bytes of a `vd`.
 *
 * @param text base64url without padding, as a parsed record has it; check others with {@link isBase64url}
 */
export function decodeBase64url(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let at = 0
  let bits = 0
  let buffer = 0
  for (let i = 0; i < text.length; i++) {
    buffer = ((buffer << 6) | valueAt(text, i)) & 0xffff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes[at++] = buffer >> bits
  }
  return bytes
}
