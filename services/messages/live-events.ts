import { readMessage } from '../../platform/bus/message.ts'
import { takenNs } from '../../platform/bus/puller.ts'
import type { Pulled } from '../../platform/bus/puller.ts'
import { decodeMessage } from './decode.ts'
import { isWanted } from './live-query.ts'
import type { LiveFilter } from './live-query.ts'
import { presentLiveJson, presentLiveReading } from './present.ts'
import { sseEvent } from './sse.ts'

/** The payloads that are remembered decoded, of all channels together. Decoded they take some ten times as much. */
const MAX_BYTES = 4_194_304

/** The events of one message. */
export interface LiveEvents {
  readonly seq: number
  /** Arrival at the gateway, nanoseconds since the Unix epoch. */
  readonly receivedAtNs: bigint
  /** Numbers of the records that pass a filter, in order. */
  matching(filter: LiveFilter): readonly number[]
  /** The event of a record. */
  text(record: number): string
}

/** Messages as events: decoded once, and each event written once, for all who follow. */
export interface LiveEventCache {
  eventsOf(pulled: Pulled): LiveEvents
}

export function createLiveEventCache(): LiveEventCache {
  const kept = new Map<string, { readonly events: LiveEvents; readonly bytes: number }>()
  let keptBytes = 0

  function makeRoom(): void {
    for (const [key, { bytes }] of kept) {
      if (keptBytes <= MAX_BYTES || kept.size === 1) return
      kept.delete(key)
      keptBytes -= bytes
    }
  }

  return {
    eventsOf(pulled) {
      // The place alone would be that of another message once the stream was lost and made anew.
      const key = `${pulled.seq} ${takenNs(pulled)}`
      const known = kept.get(key)
      if (known) return known.events
      const events = readEvents(pulled)
      const bytes = pulled.msg.data.length
      kept.set(key, { events, bytes })
      keptBytes += bytes
      makeRoom()
      return events
    },
  }
}

function readEvents({ seq, msg }: Pulled): LiveEvents {
  const message = readMessage(msg)
  const arrival = { seq, receivedAtNs: message?.receivedAtNs ?? 0n }
  const decoded = message && decodeMessage(message, seq)
  if (decoded?.kind === 'readings') {
    const { readings } = decoded
    const numbersOf = numbersByName(readings)
    const [first] = readings
    return {
      ...arrival,
      text: writtenOnce(seq, readings, presentLiveReading),
      // Of one message all records have the same origin.
      matching: (filter) => (first && isWanted(first, 'messages', filter) ? numbersOf(filter.name) : []),
    }
  }
  if (decoded?.kind === 'json') {
    const { messages } = decoded
    const numbers = messages.map((_, record) => record)
    const [first] = messages
    return {
      ...arrival,
      text: writtenOnce(seq, messages, (one) => ({ ...presentLiveJson(one), format: one.format })),
      matching: (filter) =>
        first && filter.name === undefined && isWanted(first, first.format, filter) ? numbers : [],
    }
  }
  return { ...arrival, matching: () => [], text: () => '' }
}

/** Numbers of the records by their names, so that whoever wants a few of thousands does not look at each. */
function numbersByName(readings: readonly { readonly name: string }[]) {
  const all = readings.map((_, record) => record)
  let byName: Map<string, number[]> | undefined
  return (names: readonly string[] | undefined): readonly number[] => {
    if (names === undefined) return all
    if (!byName) {
      byName = new Map()
      for (const [record, { name }] of readings.entries()) {
        const numbers = byName.get(name)
        if (numbers) numbers.push(record)
        else byName.set(name, [record])
      }
    }
    const wanted = [...new Set(names)].flatMap((name) => byName?.get(name) ?? [])
    return wanted.sort((a, b) => a - b)
  }
}

function writtenOnce<Item>(seq: number, items: readonly Item[], present: (item: Item) => object) {
  const texts: string[] = []
  return (record: number): string => {
    const item = items[record]
    if (item === undefined) return ''
    return (texts[record] ??= sseEvent({ id: `${seq}-${record}`, data: present(item) }))
  }
}
