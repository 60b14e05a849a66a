import type { Bus } from '../../platform/bus/connect.ts'
import { readMessage } from '../../platform/bus/message.ts'
import { createPuller } from '../../platform/bus/puller.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import { Unavailable } from '../../platform/errors.ts'
import { createSlots } from '../../platform/slots.ts'
import type { Session } from './sessions.ts'

/**
 * Finds QoS 2 publications that an earlier connection of a session has put on the stream, perhaps without hearing so. The
 * stream itself knows their names for two minutes, and clients come back later than that.
 */
export interface LookBack {
  /** A place that the stream has passed, and had not some seconds ago; `undefined` before {@link findPlace}. */
  readonly place: number | undefined
  /** @throws {Unavailable} */
  findPlace(): Promise<void>
  /**
   * Where the stream has a publication that the session was left with and does not know the fate of, if it has it.
   *
   * @throws {Unavailable}
   */
  find(session: Session, subject: string, messageId: string): Promise<number | undefined>
}

/** For so long a place is near enough: what lies between it and the end is read in vain. */
const FRESH_MS = 5_000
/** Sessions that read at a time, shared out by domain: after a process has died, all of its clients come at once. */
const MAX_READING = 8

const SILENCE_MS = 5_000

export function createLookBack(bus: Bus, lastPlace: () => Promise<number>): LookBack {
  const slots = createSlots(MAX_READING)
  /** By session and subject: whoever has two hundred publications to take up reads once for all of them. */
  const readings = new WeakMap<Session, Map<string, Promise<ReadonlyMap<string, number>>>>()
  let place: number | undefined
  let askedAt = 0

  async function findPlace(): Promise<void> {
    askedAt = Date.now()
    place = await lastPlace()
  }

  async function read(session: Session, subject: string): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>()
    const wanted = new Set<string | undefined>()
    let fromSeq = Infinity
    for (const { messageId, since, isAsked, isAccepted } of session.receipts.values()) {
      if (isAsked || isAccepted) continue
      wanted.add(messageId)
      fromSeq = Math.min(fromSeq, since + 1)
    }
    const puller = await createPuller(bus, {
      stream: MESSAGES_STREAM,
      fromSeq,
      subject,
      hasPayloads: false,
    })
    // What the stream gives up while it is read does not come, though it was counted.
    const watchdog = setTimeout(() => void puller.stop(), SILENCE_MS)
    try {
      for (let { pending } = puller; pending > 0 && found.size < wanted.size && !session.isEnded;) {
        const batch = await puller.next(0)
        watchdog.refresh()
        for (const pulled of batch) {
          pending = pulled.pending
          const messageId = readMessage(pulled.msg)?.messageId
          if (messageId !== undefined && wanted.has(messageId)) found.set(messageId, pulled.seq)
        }
      }
    } finally {
      clearTimeout(watchdog)
      await puller.stop()
    }
    return found
  }

  async function readInTurn(session: Session, subject: string): Promise<ReadonlyMap<string, number>> {
    const { domainId } = session.principal
    await slots.take(domainId)
    try {
      return await read(session, subject)
    } catch (error) {
      throw new Unavailable('the stream does not answer', { cause: error })
    } finally {
      slots.free(domainId)
    }
  }

  return {
    get place() {
      if (place !== undefined && Date.now() - askedAt > FRESH_MS) {
        findPlace().catch((error: unknown) => bus.log.debug({ err: error }, 'end of the stream not found'))
      }
      return place
    },
    findPlace,
    async find(session, subject, messageId) {
      const ofSession = readings.get(session) ?? new Map<string, Promise<ReadonlyMap<string, number>>>()
      readings.set(session, ofSession)
      const reading = ofSession.get(subject) ?? readInTurn(session, subject)
      ofSession.set(subject, reading)
      try {
        return (await reading).get(messageId)
      } catch (error) {
        if (ofSession.get(subject) === reading) ofSession.delete(subject)
        throw error
      }
    },
  }
}
