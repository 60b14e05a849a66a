import type { Origin } from './dictionary.ts'
import { toJson } from './json.ts'

/** Rows in the text format of COPY (PostgreSQL manual, COPY, "Text Format"): columns by tabs, rows by newlines, `\N` for null. */

export const JSON_COLUMNS =
  'stream_seq, record, domain_id, channel_id, publisher, subtopic, protocol, format, created, payload'

const NULL = '\\N'
const SPECIAL = /[\\\t\n\r]/
const SPECIAL_EACH = /[\\\t\n\r]/g
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

function text(value: string): string {
  return SPECIAL.test(value) ? value.replace(SPECIAL_EACH, (character) => ESCAPES[character] ?? '') : value
}

export interface JsonRow {
  readonly seq: number
  /** Place in its message, from 0. */
  readonly record: number
  /** The last level of the subtopic; `json` when there is none. */
  readonly format: string
  /** Arrival, nanoseconds since the Unix epoch. */
  readonly createdNs: bigint
  readonly object: Record<string, unknown>
}

/** A row of `json_messages`. */
export function copyJsonMessage(origin: Origin, { seq, record, format, createdNs, object }: JsonRow): string {
  return (
    `${seq}\t${record}\t${origin.domainId}\t${origin.channelId}\t${origin.publisher ?? NULL}\t` +
    `${text(origin.subtopic)}\t${origin.protocol}\t${text(format)}\t${createdNs}\t${text(toJson(object))}\n`
  )
}
