export const AGGREGATIONS = ['max', 'min', 'avg', 'sum', 'count', 'first', 'last'] as const
export const FILLS = ['null', 'previous', 'linear'] as const
export const COMPARATORS = ['eq', 'lt', 'le', 'gt', 'ge'] as const

export type Aggregation = (typeof AGGREGATIONS)[number]
export type Fill = (typeof FILLS)[number]
export type Comparator = (typeof COMPARATORS)[number]

/** A checked question to the reader. */
export interface MessageFilter {
  readonly offset: number
  /** `undefined`: all there is, for an export. */
  readonly limit: number | undefined
  /** Where a page before this one ended. */
  readonly cursor: string | undefined
  readonly format: string
  readonly subtopic: string | undefined
  readonly publisher: string | undefined
  readonly protocol: string | undefined
  readonly names: readonly string[] | undefined
  readonly comparator: Comparator
  readonly value: number | undefined
  readonly boolValue: boolean | undefined
  readonly stringValue: string | undefined
  readonly dataValue: string | undefined
  /** Seconds since the Unix epoch, inclusive. */
  readonly from: number | undefined
  /** Seconds since the Unix epoch, exclusive. */
  readonly to: number | undefined
  /** The last reading of each name alone. */
  readonly isLatest: boolean
  readonly aggregation: Aggregation | undefined
  readonly intervalS: number
  readonly fill: Fill | undefined
  readonly order: string | undefined
  readonly dir: 'asc' | 'desc'
}
