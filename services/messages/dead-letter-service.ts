import { headers } from 'nats'
import type { JetStreamManager } from 'nats'
import type { Bus } from '../../platform/bus/connect.ts'
import { readMessage } from '../../platform/bus/message.ts'
import { publishAndWait } from '../../platform/bus/publisher.ts'
import type { Publisher } from '../../platform/bus/publisher.ts'
import { findNextStored, findStored } from '../../platform/bus/stored.ts'
import type { StoredMessage } from '../../platform/bus/stored.ts'
import { DEADLETTERS_STREAM } from '../../platform/bus/streams.ts'
import { filterSubjects } from '../../platform/bus/subject.ts'
import { Conflict, NotFound } from '../../platform/errors.ts'
import type { ChannelAccess, ChannelReference, Reader } from './access.ts'
import {
  BURIED_HEADERS,
  ID_HEADER,
  PAYLOAD_BYTES_HEADER,
  REASON_HEADER,
  SEQUENCE_HEADER,
  deadLetterSubject,
  originalSubject,
} from './dead-letters.ts'
import { presentEnvelope } from './envelope.ts'
import { fromBus } from './errors.ts'
import type { Unread } from './unread.ts'

export type DeadLetters = ReturnType<typeof createDeadLetters>

export interface DeadLettersParts {
  readonly bus: Bus
  readonly publisher: Publisher
  readonly access: ChannelAccess
  readonly unread: Pick<Unread, 'makeRoom'>
}

type Address = Parameters<typeof subjectsOf>[0]

/** The messages of a channel that could not be stored. They stay until the stream is full, or somebody sorts them out. */
export function createDeadLetters({ bus, publisher, access, unread }: DeadLettersParts) {
  const manage = () => fromBus(bus.connection.jetstreamManager({ checkAPI: false }))

  /** @throws {NotFound} there is none of this number in the channel */
  async function get(manager: JetStreamManager, address: Address, seq: number): Promise<StoredMessage> {
    const found = await fromBus(findStored(manager, DEADLETTERS_STREAM, seq))
    const [subject = ''] = subjectsOf(address)
    if (!found || (found.subject !== subject && !found.subject.startsWith(`${subject}.`))) {
      throw new NotFound('no such dead letter')
    }
    return found
  }

  return {
    /**
     * Dead letters of a channel, oldest first; fewer than the limit where they are large.
     *
     * @param fromSeq first sequence number wanted
     * @throws {Unauthenticated} @throws {Forbidden} @throws {NotFound} @throws {RateLimited} as reading does
     */
    async list(reader: Reader, reference: ChannelReference, fromSeq: number, limit: number) {
      const address = await access.admit(reader, reference)
      unread.makeRoom(address.domainId)
      const manager = await manage()
      const [total, found] = await fromBus(
        Promise.all([count(manager, address), collect(manager, address, fromSeq, limit)]),
      )
      const { domainId } = address
      return { domainId, total, items: found.letters.map(presentDeadLetter), nextSeq: found.nextSeq }
    },

    /**
     * Sends a dead letter on its way again, as if the device had, and removes it. What is still wrong with it comes back as
     * a dead letter of its own.
     *
     * @throws {Conflict} its payload was not kept
     * @throws {Unavailable} the stream does not take it; the dead letter stays
     */
    async replay(reader: Reader, reference: ChannelReference, seq: number): Promise<void> {
      const address = await access.admitLive(reader, reference, 'publish')
      const manager = await manage()
      const letter = await get(manager, address, seq)
      if (letter.header.has(PAYLOAD_BYTES_HEADER)) {
        throw new Conflict(
          'payload_gone',
          'the payload was too large to be kept; there is nothing to publish',
        )
      }
      await publishAgain(publisher, letter)
      await fromBus(manager.streams.deleteMessage(DEADLETTERS_STREAM, seq, false))
    },

    /** Removes a dead letter for good. Who may only read may not. */
    async remove(reader: Reader, reference: ChannelReference, seq: number): Promise<void> {
      const address = await access.admit(reader, reference, 'publish')
      const manager = await manage()
      await get(manager, address, seq)
      await fromBus(manager.streams.deleteMessage(DEADLETTERS_STREAM, seq, false))
    },
  }
}

const subjectsOf = ({ domainId, channelId }: { readonly domainId: string; readonly channelId: string }) =>
  filterSubjects(domainId, channelId, ['#']).map(deadLetterSubject)

/** Without a walk: the server counts by subject. */
async function count(manager: JetStreamManager, address: Address): Promise<number> {
  const infos = await Promise.all(
    subjectsOf(address).map((filter) =>
      manager.streams.info(DEADLETTERS_STREAM, { subjects_filter: filter }),
    ),
  )
  const counts = infos.flatMap(({ state }) => Object.values(state.subjects ?? {}))
  return counts.reduce((sum, one) => sum + one, 0)
}

/** Payloads of one page together, unless the first is larger: each comes in base64, and as text. */
const PAGE_BYTES = 1_048_576

/** The first of both subjects of a channel, in the order of the stream; as many as make a page, and where the next one begins. */
async function collect(
  manager: JetStreamManager,
  address: Address,
  fromSeq: number,
  limit: number,
): Promise<{ letters: readonly StoredMessage[]; nextSeq: number | undefined }> {
  const next = (subject: string, seq: number) => findNextStored(manager, DEADLETTERS_STREAM, subject, seq)
  const heads = await Promise.all(
    subjectsOf(address).map(async (subject) => ({ subject, letter: await next(subject, fromSeq) })),
  )
  const letters: StoredMessage[] = []
  let bytes = 0
  for (;;) {
    const [first] = heads
      .filter(({ letter }) => letter !== undefined)
      .sort((a, b) => (a.letter?.seq ?? 0) - (b.letter?.seq ?? 0))
    if (!first?.letter) return { letters, nextSeq: undefined }
    const { seq, data } = first.letter
    bytes += data.length
    if (letters.length === limit || (letters.length > 0 && bytes > PAGE_BYTES))
      return { letters, nextSeq: seq }
    letters.push(first.letter)
    first.letter = await next(first.subject, seq + 1)
  }
}

function presentDeadLetter(letter: StoredMessage) {
  const message = readMessage({
    subject: originalSubject(letter.subject),
    headers: letter.header,
    data: letter.data,
  })
  return {
    sequence: letter.seq,
    reason: letter.header.get(REASON_HEADER),
    dead_at: letter.time.toISOString(),
    stream_sequence: Number(letter.header.get(SEQUENCE_HEADER)),
    /** Of a payload that was too large to be kept with the rest. */
    payload_bytes: letter.header.has(PAYLOAD_BYTES_HEADER)
      ? Number(letter.header.get(PAYLOAD_BYTES_HEADER))
      : undefined,
    ...(message && presentEnvelope(message)),
  }
}

async function publishAgain(publisher: Publisher, letter: StoredMessage): Promise<void> {
  const fields = headers()
  for (const [name, values] of letter.header) {
    if (!BURIED_HEADERS.includes(name)) for (const value of values) fields.append(name, value)
  }
  // Asked for twice at the same time it is taken once, within the stream's duplicate window.
  fields.set(ID_HEADER, `again ${letter.seq} ${letter.header.get(ID_HEADER)}`)
  await publishAndWait(publisher, originalSubject(letter.subject), letter.data, fields)
}
