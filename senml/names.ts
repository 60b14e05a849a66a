const START = 1
const INSIDE = 2

/** For each ASCII code what it may be in a name: 0 nothing, else the sum of START and INSIDE. */
const ROLES = new Uint8Array(128)
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789') {
  ROLES[character.charCodeAt(0)] = START | INSIDE
}
for (const character of '-:./_') ROLES[character.charCodeAt(0)] = INSIDE

/** Whether every character is one that names have: letters, digits and `- : . / _` (RFC 8428 section 4.5.1). */
export function hasNameCharacters(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127 || ROLES[code] === 0) return false
  }
  return true
}

/** Whether a name that begins so begins rightly, with a letter or a digit (section 4.5.1). False for no text. */
export function startsLikeName(text: string): boolean {
  return ((ROLES[text.charCodeAt(0)] ?? 0) & START) !== 0
}

/** Whether a base name and a name, put together, are a name (section 4.5.1). */
export function isName(text: string): boolean {
  return startsLikeName(text) && hasNameCharacters(text)
}
