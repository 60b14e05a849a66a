import { LongInteger, parseExact } from './json.ts'
import type { JsonMessageRow, SampleRow } from './repository.ts'
import type { SeriesRow } from './series.ts'
import type { JsonMessage, Reading } from './types.ts'

export type PresentSample = typeof presentReading | typeof presentBucket

/** Of an interval that is filled with nothing, the value is `null`. */
export function presentBucket(channelId: string, series: Origin, bucket: Sample) {
  return { ...presentReading(channelId, series, bucket), value: bucket.value }
}

type Origin = Omit<SeriesRow, 'id'>
type Sample = Omit<SampleRow, 'series_id'>

/** Absent values are absent in the answer. Buckets are readings that lack most of them. */
export function presentReading(channelId: string, series: Origin, sample: Sample) {
  return {
    channel: channelId,
    subtopic: series.subtopic === '' ? undefined : series.subtopic,
    publisher: series.publisher ?? undefined,
    protocol: series.protocol,
    name: series.name,
    unit: series.unit ?? undefined,
    time: sample.time,
    update_time: sample.rest?.ut,
    value: sample.value ?? undefined,
    string_value: sample.string_value ?? undefined,
    bool_value: sample.bool_value ?? undefined,
    data_value: sample.rest?.vd,
    sum: sample.rest?.s,
  }
}

export const presentJson = (row: JsonMessageRow) => presentObject(row, parseExact(row.payload))

function presentObject(row: Omit<JsonMessageRow, 'payload'>, payload: unknown) {
  return {
    channel: row.channel_id,
    created: new LongInteger(row.created),
    subtopic: row.subtopic === '' ? undefined : row.subtopic,
    publisher: row.publisher ?? undefined,
    protocol: row.protocol,
    payload,
  }
}

/** A reading that is not stored yet, as the reader will answer it. */
export function presentLiveReading(reading: Reading) {
  return presentReading(reading.channelId, reading, {
    time: reading.time,
    value: reading.value,
    string_value: reading.stringValue,
    bool_value: reading.boolValue,
    rest: {
      ut: reading.updateTime ?? undefined,
      vd: reading.dataValue ?? undefined,
      s: reading.sum ?? undefined,
    },
  })
}

/** The same of another JSON message. */
export function presentLiveJson(message: JsonMessage) {
  const row = {
    channel_id: message.channelId,
    publisher: message.publisher,
    subtopic: message.subtopic,
    protocol: message.protocol,
    created: String(message.createdNs),
  }
  return presentObject(row, message.payload)
}
