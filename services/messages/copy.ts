import type { JsonMessage, Reading } from './types.ts'

/** Rows in the text format of COPY (PostgreSQL manual, COPY, "Text Format"): columns by tabs, rows by newlines, `\N` for null. */

export const READING_COLUMNS =
  'stream_seq, record, domain_id, channel_id, publisher, subtopic, protocol, name, unit, time, update_time, value, ' +
  'string_value, bool_value, data_value, sum'

export const JSON_COLUMNS =
  'stream_seq, record, domain_id, channel_id, publisher, subtopic, protocol, format, created, payload'

const NULL = '\\N'
const SPECIAL = /[\\\t\n\r]/
const SPECIAL_EACH = /[\\\t\n\r]/g
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

function text(value: string | null): string {
  if (value === null) return NULL
  return SPECIAL.test(value) ? value.replace(SPECIAL_EACH, (character) => ESCAPES[character] ?? '') : value
}

// The shortest text that reads back as the same double (ECMA-262, Number::toString), and Postgres reads it back so.
const number = (value: number | null): string => (value === null ? NULL : String(value))

export function copyReading(row: Reading): string {
  const bool = row.boolValue === null ? NULL : row.boolValue ? 't' : 'f'
  return (
    `${row.streamSeq}\t${row.record}\t${row.domainId}\t${row.channelId}\t${row.publisher ?? NULL}\t` +
    `${text(row.subtopic)}\t${row.protocol}\t${text(row.name)}\t${text(row.unit)}\t${row.time}\t` +
    `${number(row.updateTime)}\t${number(row.value)}\t${text(row.stringValue)}\t${bool}\t${text(row.dataValue)}\t` +
    `${number(row.sum)}\n`
  )
}

export function copyJsonMessage(row: JsonMessage): string {
  return (
    `${row.streamSeq}\t${row.record}\t${row.domainId}\t${row.channelId}\t${row.publisher ?? NULL}\t` +
    `${text(row.subtopic)}\t${row.protocol}\t${text(row.format)}\t${row.createdNs}\t` +
    `${text(JSON.stringify(row.payload))}\n`
  )
}
