import { z } from 'zod'
import { InvalidInput } from '../../platform/errors.ts'
import { messageSubject, filterSubjects } from '../../platform/bus/subject.ts'
import type { Decoded, JsonMessage, Reading } from './types.ts'
import { presentLiveJson, presentLiveReading } from './present.ts'
import { nameList } from './query.ts'

/** Query parameters of the live tail: those of the reader that a message can be matched with by itself. */
export const LiveQuery = z.object({
  /** `messages` for readings alone, else the format of other JSON; absent for all that is stored. */
  format: z.string().optional(),
  name: nameList.optional(),
  subtopic: z.string().optional(),
  publisher: z.string().optional(),
  protocol: z.string().optional(),
  /** For those who cannot send the header of this name, which wins. */
  last_event_id: z.string().optional(),
})

export type LiveFilter = z.output<typeof LiveQuery>

/** A place behind a record of a message; without the record, behind the whole message. */
export interface Place {
  readonly seq: number
  readonly record: number
}

/**
 * Reads an event's id back: `<sequence>-<record>`, or the `position` of a page of history, `<sequence>`.
 *
 * @param field what the caller calls it
 * @throws {InvalidInput} neither of the two
 */
export function parsePlace(value: string, field: string): Place {
  const [, seq = '', record] = /^(\d{1,15})(?:-(\d{1,9}))?$/.exec(value.trim()) ?? []
  if (seq === '') throw new InvalidInput(`${field}: must be the id of an event, such as 1234-0`)
  return { seq: Number(seq), record: record === undefined ? Infinity : Number(record) }
}

/** Subjects that together are what the filter is about, so that the server sorts most of it out. */
export function liveSubjects(
  address: { readonly domainId: string; readonly channelId: string },
  filter: Pick<LiveFilter, 'subtopic'>,
): string[] {
  const levels = levelsOf(filter.subtopic)
  const { domainId, channelId } = address
  if (levels.length > 0) return [messageSubject({ domainId, channelId, levels })]
  return filterSubjects(domainId, channelId, ['#'])
}

const levelsOf = (subtopic = '') => subtopic.split('/').filter((level) => level !== '')

/** The records of a message that pass the filter, each as the reader would answer it. */
export function liveRecords(decoded: Decoded, filter: LiveFilter): { record: number; data: object }[] {
  switch (decoded.kind) {
    case 'readings':
      return decoded.readings
        .filter((reading) => isWanted(reading, 'messages', filter) && hasName(reading, filter))
        .map((reading) => ({ record: reading.record, data: presentLiveReading(reading) }))
    case 'json':
      return decoded.messages
        .filter((message) => isWanted(message, message.format, filter) && filter.name === undefined)
        .map((message) => ({
          record: message.record,
          data: { ...presentLiveJson(message), format: message.format },
        }))
    case 'opaque':
    case 'broken':
      return []
  }
}

const hasName = (reading: Reading, { name }: LiveFilter) => name === undefined || name.includes(reading.name)

function isWanted(item: Reading | JsonMessage, format: string, filter: LiveFilter): boolean {
  const subtopic = levelsOf(filter.subtopic).join('/')
  return (
    (filter.format === undefined || filter.format === format) &&
    (subtopic === '' || item.subtopic === subtopic) &&
    (filter.publisher === undefined || item.publisher === filter.publisher.toLowerCase()) &&
    (filter.protocol === undefined || item.protocol === filter.protocol)
  )
}
