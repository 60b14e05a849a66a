import { z } from 'zod'
import { InvalidInput } from '../../platform/errors.ts'
import { messageSubject, filterSubjects } from '../../platform/bus/subject.ts'
import type { JsonMessage, Reading } from './types.ts'
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

/** Whether messages of this origin and format pass, whatever their names. */
export function isWanted(item: Reading | JsonMessage, format: string, filter: LiveFilter): boolean {
  const subtopic = levelsOf(filter.subtopic).join('/')
  return (
    (filter.format === undefined || filter.format === format) &&
    (subtopic === '' || item.subtopic === subtopic) &&
    (filter.publisher === undefined || item.publisher === filter.publisher.toLowerCase()) &&
    (filter.protocol === undefined || item.protocol === filter.protocol)
  )
}
