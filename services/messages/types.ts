import type { ResolvedRecord } from '../../senml/record.ts'

/** One resolved SenML record as it is stored. */
export interface Reading {
  readonly streamSeq: number
  /** Place in its message, from 0. */
  readonly record: number
  readonly domainId: string
  readonly channelId: string
  /** `null` when the message came from a NATS client that is none of ours. */
  readonly publisher: string | null
  /** Levels joined by `/`. */
  readonly subtopic: string
  readonly protocol: string
  readonly name: string
  readonly unit: string | null
  /** Seconds since the Unix epoch. */
  readonly time: number
  readonly updateTime: number | null
  readonly value: number | null
  readonly stringValue: string | null
  readonly boolValue: boolean | null
  /** Base64url. */
  readonly dataValue: string | null
  readonly sum: number | null
}

/** One JSON object that is not SenML, as it is stored. */
export interface JsonMessage extends Pick<
  Reading,
  'streamSeq' | 'record' | 'domainId' | 'channelId' | 'publisher' | 'subtopic' | 'protocol'
> {
  /** The last level of the subtopic; `json` when there is none. */
  readonly format: string
  /** Arrival, nanoseconds since the Unix epoch. */
  readonly createdNs: bigint
  readonly payload: Record<string, unknown>
}

/** What a message turned out to hold. */
export type Decoded =
  | { readonly kind: 'readings'; readonly readings: readonly Reading[] }
  | { readonly kind: 'json'; readonly messages: readonly JsonMessage[] }
  /** Delivered live, not stored: no format that is. */
  | { readonly kind: 'opaque' }
  /** Meant to be stored and broken. */
  | { readonly kind: 'broken'; readonly reason: string }

/** What a payload turned out to hold, before it is put beside its origin. */
export type Content =
  /** Resolved SenML: a reading each. */
  | { readonly kind: 'readings'; readonly records: readonly ResolvedRecord[] }
  /** JSON objects that are no SenML. */
  | { readonly kind: 'json'; readonly objects: readonly Record<string, unknown>[] }
  | Exclude<Decoded, { kind: 'readings' | 'json' }>
