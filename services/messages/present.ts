import type { BucketRow } from './buckets.ts'
import { LongInteger } from './json.ts'
import type { JsonMessageRow, ReadingRow } from './repository.ts'
import type { JsonMessage, Reading } from './types.ts'

/** A row of an aggregation; of an interval that is filled with nothing, the value is `null`. */
export const presentBucket = (row: BucketRow) => ({ ...presentReading(row), value: row.value })

/** Absent values are absent in the answer. Rows of an aggregation are readings that lack most of them. */
export function presentReading(row: BucketRow & Partial<ReadingRow>) {
  return {
    channel: row.channel_id,
    subtopic: row.subtopic === '' ? undefined : row.subtopic,
    publisher: row.publisher ?? undefined,
    protocol: row.protocol,
    name: row.name,
    unit: row.unit ?? undefined,
    time: row.time,
    update_time: row.update_time ?? undefined,
    value: row.value ?? undefined,
    string_value: row.string_value ?? undefined,
    bool_value: row.bool_value ?? undefined,
    data_value: row.data_value ?? undefined,
    sum: row.sum ?? undefined,
  }
}

export function presentJson(row: JsonMessageRow) {
  return {
    channel: row.channel_id,
    created: new LongInteger(row.created_ns),
    subtopic: row.subtopic === '' ? undefined : row.subtopic,
    publisher: row.publisher ?? undefined,
    protocol: row.protocol,
    payload: row.payload,
  }
}

/** A reading that is not stored yet, as the reader will answer it. */
export function presentLiveReading(reading: Reading) {
  return presentReading({
    channel_id: reading.channelId,
    publisher: reading.publisher,
    subtopic: reading.subtopic,
    protocol: reading.protocol,
    name: reading.name,
    unit: reading.unit,
    time: reading.time,
    update_time: reading.updateTime,
    value: reading.value,
    string_value: reading.stringValue,
    bool_value: reading.boolValue,
    data_value: reading.dataValue,
    sum: reading.sum,
  })
}

/** The same of another JSON message. */
export function presentLiveJson(message: JsonMessage) {
  return presentJson({
    channel_id: message.channelId,
    publisher: message.publisher,
    subtopic: message.subtopic,
    protocol: message.protocol,
    format: message.format,
    created_ns: String(message.createdNs),
    payload: message.payload,
  })
}
