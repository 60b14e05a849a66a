import { Counter } from 'prom-client'
import type { Registry } from 'prom-client'

export type WriterMetrics = ReturnType<typeof createWriterMetrics>

export function createWriterMetrics(registry: Registry) {
  const counter = (name: string, help: string) => new Counter({ name, help, registers: [registry] })
  return {
    storedReadings: counter('sluice_readings_stored_total', 'SenML readings committed to the database'),
    storedJson: counter('sluice_json_messages_stored_total', 'JSON messages committed to the database'),
    deadLetters: counter(
      'sluice_dead_letters_total',
      'Messages that could not be stored, kept with the reason',
    ),
    addedSeries: counter(
      'sluice_series_added_total',
      'New series: a channel, sender, subtopic, name and unit',
    ),
    refusedSeries: counter(
      'sluice_series_refused_total',
      'Messages that were not stored because their channel or domain may have no more series',
    ),
    lost: counter('sluice_messages_lost_total', 'Messages removed from the stream before they were stored'),
    rewinds: counter(
      'sluice_stream_rewinds_total',
      'Times that the stream was found to have lost messages at its end that were stored',
    ),
    purged: counter('sluice_messages_purged_total', 'Stored messages removed from the stream to make room'),
  }
}
