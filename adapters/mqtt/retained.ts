import { isExpired } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import { propertyBytes } from '../../platform/bus/properties.ts'
import { matchesFilter } from '../topics.ts'
import { largestOf } from './largest.ts'
import { suffixOf } from './deliveries.ts'

/** Bounds over all channels. */
const MAX_MESSAGES = 50_000
const MAX_BYTES = 64 * 1024 * 1024

export interface Retained {
  readonly size: { readonly messages: number; readonly bytes: number }
  /**
   * Takes the message as the last of its topic; an empty payload removes it [MQTT-3.3.1-6] [MQTT-3.3.1-7].
   *
   * @returns what is kept of it
   */
  set(message: Message): Message | undefined
  /** Those of one channel that a filter matches, in the order in which they were set. */
  find(channelId: string, filter: readonly string[]): Message[]
  /** Lets go of those that have expired. @returns them */
  sweep(): Message[]
}

export interface RetainedOptions {
  readonly maxMessages?: number
  readonly maxBytes?: number
  /** Told of each message that made room for another. */
  readonly onEvict: (message: Message) => void
}

const bytesOf = ({ payload, properties }: Message): number =>
  payload.length + (properties ? propertyBytes(properties) : 0)

/** What is kept for one domain. */
interface Shelf {
  /** The one that was set longest ago first. */
  readonly messages: Set<Message>
  bytes: number
}

/**
 * Retained messages in this process's memory, by channel and levels, not by topic as written: a subscriber finds
 * them however it writes domain and channel.
 *
 * When there are too many, the domain that holds most gives up what it set longest ago: no tenant pushes out what another
 * keeps, unless the other keeps more.
 */
export function createRetained(options: RetainedOptions): Retained {
  const { maxMessages = MAX_MESSAGES, maxBytes = MAX_BYTES, onEvict } = options
  const channels = new Map<string, Map<string, Message>>()
  /** By domain. */
  const shelves = new Map<string, Shelf>()
  let count = 0
  let bytes = 0

  function remove(message: Message): void {
    const shelf = shelves.get(message.domainId)
    if (!shelf?.messages.delete(message)) return
    if (shelf.messages.size === 0) shelves.delete(message.domainId)
    const sizeBytes = bytesOf(message)
    shelf.bytes -= sizeBytes
    bytes -= sizeBytes
    count -= 1
    const channel = channels.get(message.channelId)
    channel?.delete(suffixOf(message.levels))
    if (channel?.size === 0) channels.delete(message.channelId)
  }

  function add(message: Message, suffix: string): void {
    const channel = channels.get(message.channelId)
    if (channel) channel.set(suffix, message)
    else channels.set(message.channelId, new Map([[suffix, message]]))
    const sizeBytes = bytesOf(message)
    const shelf = shelves.get(message.domainId)
    if (shelf) {
      shelf.messages.add(message)
      shelf.bytes += sizeBytes
    } else shelves.set(message.domainId, { messages: new Set([message]), bytes: sizeBytes })
    bytes += sizeBytes
    count += 1
  }

  /** Makes room where most is held of that of which there is too much. */
  function evict(domainId: string): void {
    const shelf =
      count > maxMessages
        ? largestOf(shelves, ({ messages }) => messages.size, count, domainId)
        : largestOf(shelves, (held) => held.bytes, bytes, domainId)
    for (const oldest of shelf?.messages ?? []) {
      remove(oldest)
      return onEvict(oldest)
    }
  }

  return {
    get size() {
      return { messages: count, bytes }
    },
    set(message) {
      const suffix = suffixOf(message.levels)
      const before = channels.get(message.channelId)?.get(suffix)
      if (before) remove(before)
      if (message.payload.length === 0) return undefined
      // A copy: the payload is a view into all that one read of the socket brought, and would keep that alive.
      const kept = { ...message, payload: Uint8Array.from(message.payload) }
      add(kept, suffix)
      while (count > maxMessages || bytes > maxBytes) evict(message.domainId)
      // It may have had to make the room itself.
      return shelves.get(kept.domainId)?.messages.has(kept) ? kept : undefined
    },
    find(channelId, filter) {
      const found: Message[] = []
      const now = Date.now()
      for (const message of channels.get(channelId)?.values() ?? []) {
        if (!isExpired(message, now) && matchesFilter(message.levels, filter)) found.push(message)
      }
      return found
    },
    sweep() {
      const expired: Message[] = []
      const now = Date.now()
      for (const { messages } of shelves.values()) {
        for (const message of messages) if (isExpired(message, now)) expired.push(message)
      }
      for (const message of expired) remove(message)
      return expired
    },
  }
}
