/** What can be wrong with SenML. Codes are stable for programs; messages may change. */
export type SenmlErrorCode =
  /** The bytes are not UTF-8, or the text is not JSON. */
  | 'invalid_json'
  /** The bytes are not one CBOR item, or use CBOR that SenML has no place for. */
  | 'invalid_cbor'
  /** The root is not an array (RFC 8428 section 4). */
  | 'not_a_pack'
  /** A pack has one record or more (section 3). */
  | 'empty_pack'
  /** More bytes than the limit given. */
  | 'too_large'
  /** More records than the limit given. */
  | 'too_many_records'
  /** An unknown field nests deeper than {@link MAX_DEPTH} levels. */
  | 'too_deep'
  /** A record is not an object, or a label is neither text nor an integer. */
  | 'invalid_record'
  /** A field has another type than table 1 says (section 4.3). */
  | 'wrong_type'
  /** A number, or the sum of a base and a number, is no finite double (section 5). */
  | 'not_finite'
  /** Text that UTF-8 cannot carry: a surrogate without its pair (section 5). */
  | 'invalid_text'
  /** Base name and name together hold a character that names do not have, or start with one (section 4.5.1). */
  | 'invalid_name'
  /** A record with neither a base name nor a name (section 4.2). */
  | 'empty_name'
  /** More than one of v, vs, vb and vd (section 4.2). */
  | 'several_values'
  /** No value and no sum (section 4.2). */
  | 'missing_value'
  /** A version that is not a positive integer (section 4.1). */
  | 'invalid_version'
  /** A version above the one understood (section 4.4). */
  | 'unsupported_version'
  /** Records of one pack with different versions (section 4.4). */
  | 'mixed_versions'
  /** A field that is unknown and whose label ends with `_` (section 4.4). */
  | 'must_understand'
  /** `vd` is not base64url without padding (section 4.3). */
  | 'invalid_data'
  /** The same field twice in one CBOR record. */
  | 'duplicate_field'
  /** A time that resolves to before 2**28, which SenML cannot say (section 4.5.3), or a `now` that is. */
  | 'invalid_time'
  /** A Fetch Record with a field that selects nothing (RFC 8790 section 3.1). */
  | 'forbidden_field'
  /** A Patch Record that matches more than one record (RFC 8790 section 3.2). */
  | 'ambiguous_target'
  /** Not a fragment identifier such as `rec=3-5,10,19-*` (section 9). */
  | 'invalid_fragment'

/** Levels of arrays and objects that an unknown field may nest. Known fields do not nest at all. */
export const MAX_DEPTH = 64

/** Where in the pack it went wrong, and what it went wrong with. */
export interface SenmlErrorContext {
  /** Position of the record in its pack or stream, from 0. */
  readonly index?: number
  /** Label as JSON writes it: `v`, also where CBOR says 2. */
  readonly field?: string
  readonly cause?: unknown
}

/** The one error that this library throws for what it reads. */
export class SenmlError extends Error {
  override readonly name = 'SenmlError'
  readonly code: SenmlErrorCode
  /** Position of the record in its pack or stream, from 0; undefined where the pack as a whole is wrong. */
  readonly index: number | undefined
  /** Label of the field, undefined where no single field is wrong. */
  readonly field: string | undefined

  constructor(code: SenmlErrorCode, message: string, context: SenmlErrorContext = {}) {
    super(describe(message, context), context.cause === undefined ? undefined : { cause: context.cause })
    this.code = code
    this.index = context.index
    this.field = context.field
  }
}

function describe(message: string, { index, field }: SenmlErrorContext): string {
  if (index === undefined) return message
  return field === undefined ? `record ${index}: ${message}` : `record ${index}, field ${field}: ${message}`
}
