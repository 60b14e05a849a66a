import { setImmediate as turn } from 'node:timers/promises'
import { readMessage } from '../../platform/bus/message.ts'
import type { Pulled } from '../../platform/bus/puller.ts'
import { Arrivals } from './arrivals.ts'
import { copyJsonMessage } from './copy.ts'
import { DayCounts, dayOf } from './day-counts.ts'
import type { Dictionary, Origin, Series } from './dictionary.ts'
import { SampleEncoder, isPlain } from './encode.ts'
import { formatOf, readPayload } from './payload.ts'
import type { Content } from './types.ts'

/** Messages ready to be stored: rows as COPY wants them. */
export interface Prepared {
  readonly pulled: readonly Pulled[]
  readonly samples: readonly Buffer[]
  readonly sampleRows: number
  readonly json: readonly string[]
  readonly days: DayCounts
  readonly arrivals: Arrivals
  /** Those of the messages that cannot be stored. */
  readonly broken: readonly Broken[]
  /** How many of those for a series that they may not have. */
  readonly refused: number
}

export interface Broken {
  readonly pulled: Pulled
  readonly reason: string
}

// A transaction of about this many rows costs next to nothing a row to begin and commit; more only delays the first.
const MAX_ROWS = 50_000
// What else runs in this process waits no longer than this for its turn.
const SLICE_MS = 5
const NS_PER_MS = 1_000_000n
const NS_PER_S = 1_000_000_000n

/**
 * Decodes and encodes messages from a place in a batch on, as many as make a good transaction. One bad message stops nobody.
 *
 * @throws a data error of the database, when it refuses to name a series
 */
export async function prepare(
  batch: readonly Pulled[],
  from: number,
  dictionary: Dictionary,
): Promise<Prepared> {
  dictionary.makeRoom()
  let encoded = await encode(batch, from, batch.length, dictionary)
  // Rare, and the rows are written before it is known: they are written again, without the messages that may not have theirs.
  if ((await dictionary.learn()) > 0) encoded = await encode(batch, from, encoded.end, dictionary)
  const { encoder, end, ...rest } = encoded
  const samples = encoder.rows === 0 ? [] : encoder.finish()
  return { ...rest, pulled: batch.slice(from, end), samples, sampleRows: encoder.rows }
}

type Encoded = Omit<Prepared, 'pulled' | 'samples' | 'sampleRows'> & {
  readonly encoder: SampleEncoder
  /** The first that is not among them. */
  readonly end: number
}

async function encode(
  batch: readonly Pulled[],
  from: number,
  to: number,
  dictionary: Dictionary,
): Promise<Encoded> {
  const encoder = new SampleEncoder()
  const days = new DayCounts()
  const arrivals = new Arrivals()
  const json: string[] = []
  const broken: Broken[] = []
  const found: Series[] = []
  let refused = 0
  let sliceEnd = performance.now() + SLICE_MS
  let at = from
  for (; at < to && encoder.rows + json.length < MAX_ROWS; at++) {
    const pulled = batch[at] as Pulled
    const reason = add(pulled)
    if (reason !== undefined) broken.push({ pulled, reason })
    if (performance.now() > sliceEnd) {
      await turn()
      sliceEnd = performance.now() + SLICE_MS
    }
  }
  return { encoder, end: at, json, days, arrivals, broken, refused }

  /** @returns why it cannot be stored */
  function add({ seq, msg }: Pulled): string | undefined {
    const message = readMessage(msg)
    if (!message) return 'invalid_subject: not the subject of a message'
    arrivals.add(message.publisher, Number(message.receivedAtNs / NS_PER_MS))
    const content = readPayload(message)
    if (content.kind === 'broken') return content.reason
    if (content.kind === 'readings') return addReadings(dictionary.origin(message, msg.subject), content, seq)
    if (content.kind === 'json') {
      const origin = dictionary.origin(message, msg.subject)
      const format = formatOf(message)
      content.objects.forEach((object, record) =>
        json.push(copyJsonMessage(origin, { seq, record, format, createdNs: message.receivedAtNs, object })),
      )
      const day = dayOf(Number(message.receivedAtNs / NS_PER_S))
      days.add(origin.channelId, `json:${format}`, day, content.objects.length)
    }
    return undefined
  }

  function addReadings(
    origin: Origin,
    { records }: Extract<Content, { kind: 'readings' }>,
    seq: number,
  ): string | undefined {
    // All of a message or nothing: before the first row is written each record must have its series.
    for (let index = 0; index < records.length; index++) {
      const record = records[index] as (typeof records)[number]
      const series = dictionary.series(origin, record.n, record.u ?? null)
      if (series.refusal !== undefined) {
        refused += 1
        return series.refusal
      }
      found[index] = series
    }
    let day = 0
    let ofDay = 0
    for (let index = 0; index < records.length; index++) {
      const record = records[index] as (typeof records)[number]
      const series = found[index] as Series
      if (series.isPlain && !isPlain(record)) dictionary.addsOther(series)
      encoder.add(series, record, seq, index)
      const its = dayOf(record.t)
      if (its !== day && ofDay > 0) {
        days.add(origin.channelId, 'readings', day, ofDay)
        ofDay = 0
      }
      day = its
      ofDay += 1
    }
    if (ofDay > 0) days.add(origin.channelId, 'readings', day, ofDay)
    return undefined
  }
}
