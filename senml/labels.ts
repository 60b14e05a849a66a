/** Labels in CBOR by their number, from -6 on (RFC 8428 section 6, table 4). */
const BY_NUMBER = [
  'bs',
  'bv',
  'bu',
  'bt',
  'bn',
  'bver',
  'n',
  'u',
  'v',
  'vs',
  'vb',
  's',
  't',
  'ut',
  'vd',
] as const
const LOWEST = -6

/** A label that RFC 8428 defines. */
export type SenmlLabel = (typeof BY_NUMBER)[number]

const NUMBERS: ReadonlyMap<string, number> = new Map(BY_NUMBER.map((label, i) => [label, i + LOWEST]))

/** The label that a CBOR integer stands for, undefined for integers that table 4 does not have. */
export function labelOfNumber(number: number): SenmlLabel | undefined {
  return BY_NUMBER[number - LOWEST]
}

/** The CBOR integer of a label, undefined for labels of extensions, which stay text. */
export function numberOfLabel(label: string): number | undefined {
  return NUMBERS.get(label)
}

/** Whether RFC 8428 defines the label. */
export function isSenmlLabel(label: string): label is SenmlLabel {
  return NUMBERS.has(label)
}
