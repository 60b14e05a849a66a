import { SenmlError } from './errors.ts'

const START = 1
const INSIDE = 2

/** For each ASCII code what it may be in a name: 0 nothing, else the sum of START and INSIDE. */
const ROLES = new Uint8Array(128)
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789') {
  ROLES[character.charCodeAt(0)] = START | INSIDE
}
for (const character of '-:./_') ROLES[character.charCodeAt(0)] = INSIDE

/** Whether every character is one that names have: letters, digits and `- : . / _` (RFC 8428 section 4.5.1). */
function hasNameCharacters(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127 || ROLES[code] === 0) return false
  }
  return true
}

/** Whether a name that begins so begins rightly, with a letter or a digit (section 4.5.1). False for no text. */
function startsLikeName(text: string): boolean {
  return ((ROLES[text.charCodeAt(0)] ?? 0) & START) !== 0
}

/** Whether a base name and a name, put together, are the name of something (section 4.5.1). */
export function isName(text: string): boolean {
  return startsLikeName(text) && hasNameCharacters(text)
}

/**
 * Checks names as records go by, without building them: the base name once, however many records it stands for, and
 * the name of each. One for each pack or stream.
 */
export class NameChecker {
  #base = ''
  #baseIsChecked = true

  /** Takes a base name. It counts only once it is part of a name, so it is looked at then. */
  setBase(base: string): void {
    this.#base = base
    this.#baseIsChecked = false
  }

  /**
   * Checks the name that the base name and a record's own make together.
   *
   * @param index position of the record, for the error
   * @throws {SenmlError} `empty_name`, `invalid_name`
   */
  check(name: string, index: number): void {
    if (!this.#baseIsChecked) {
      checkPart(this.#base, true, 'bn', index)
      this.#baseIsChecked = true
    }
    if (name === '' && this.#base === '') {
      throw new SenmlError('empty_name', 'has neither a name nor a base name', { index, field: 'n' })
    }
    checkPart(name, this.#base === '', 'n', index)
  }
}

function checkPart(part: string, isStart: boolean, field: string, index: number): void {
  if (part === '') return
  if (!hasNameCharacters(part)) {
    throw new SenmlError('invalid_name', 'holds a character other than A-Z a-z 0-9 - : . / _', {
      index,
      field,
    })
  }
  if (isStart && !startsLikeName(part)) {
    throw new SenmlError('invalid_name', 'starts with neither a letter nor a digit', { index, field })
  }
}
