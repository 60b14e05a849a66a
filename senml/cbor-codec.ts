import { encode, Token, Tokenizer, Type } from 'cborg'

/*
 * All that is known of the CBOR library is known here, so that another one can take its place. We read token by
 * token: that is faster than having maps built whose integer keys we turn into labels anyway, and leaves limits
 * on depth and the meaning of tags to us.
 */

/** What a token is. A map or an array announces its length, a tag its number; `break` ends what has no length. */
export type CborKind =
  | 'uint'
  | 'negint'
  | 'bytes'
  | 'string'
  | 'array'
  | 'map'
  | 'tag'
  | 'float'
  | 'false'
  | 'true'
  | 'null'
  | 'undefined'
  | 'break'

/** Reads text strictly and whole; the library would put U+FFFD for what is broken, and drop a byte order mark. */
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes in front of the content, by the low five bits of the first byte (RFC 8949 section 3). */
const HEAD_BYTES = new Uint8Array(32).fill(1)
HEAD_BYTES.set([2, 3, 5, 9], 24)

/** A cursor over CBOR. Everything it throws means that the input is not well-formed. */
export class CborTokens {
  readonly #bytes: Uint8Array
  readonly #tokenizer: Tokenizer
  /**
   * Of the token just read. Integers are `bigint` where a double could not hold them exactly, bytes `Uint8Array`,
   * text a string; lengths are numbers, `Infinity` where an array or a map goes on until its `break`.
   */
  value: unknown

  constructor(input: Uint8Array) {
    // A Node Buffer slices to views that share memory; as a plain Uint8Array it copies like any other.
    this.#bytes =
      input.constructor === Uint8Array
        ? input
        : new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
    this.#tokenizer = new Tokenizer(this.#bytes, { allowIndefinite: true, allowBigInt: true })
  }

  get isAtEnd(): boolean {
    return this.#tokenizer.done()
  }

  /** Reads one token: returns its kind, and leaves its value in {@link value}. */
  next(): CborKind {
    const start = this.#tokenizer.pos()
    const token = this.#tokenizer.next()
    const kind = token.type.name as CborKind
    this.value = kind === 'string' ? this.#text(token.value as string, start) : token.value
    return kind
  }

  #text(text: string, start: number): string {
    const from = start + (HEAD_BYTES[(this.#bytes[start] as number) & 31] as number)
    const end = this.#tokenizer.pos()
    for (let i = from; i < end; i++) {
      if ((this.#bytes[i] as number) > 0x7f) return strictUtf8.decode(this.#bytes.subarray(from, end))
    }
    return text
  }
}

/** Every negative zero would become the integer 0. */
const encodeNumber = (value: unknown) => (Object.is(value, -0) ? new Token(Type.float, -0) : null)

/**
 * Writes a value as CBOR: integers and floats in the shortest form that reads back as the same double, `Map`s with
 * their keys in order, arrays and texts with their length in front.
 *
 * @throws {Error} for what CBOR has no form for, such as a function
 */
export function encodeCbor(value: unknown): Uint8Array {
  // A copy, because under Node the library returns a Buffer that shares its memory with others.
  return new Uint8Array(encode(value, { mapSorter: undefined, typeEncoders: { number: encodeNumber } }))
}
