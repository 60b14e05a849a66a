import { isExpired } from '../../platform/bus/message.ts'
import type { Message } from '../../platform/bus/message.ts'
import { propertyBytes } from '../../platform/bus/properties.ts'
import { TopicTree } from '../topic-tree.ts'
import { largestOf } from './largest.ts'

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
  get(channelId: string, levels: readonly string[]): Message | undefined
  /**
   * Those of one channel that a filter matches, in no order.
   *
   * @returns them, and how many places the look-up has come to
   */
  find(channelId: string, filter: readonly string[]): { found: Message[]; visits: number }
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
  const channels = new Map<string, TopicTree<Message>>()
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
    channel?.delete(message.levels)
    if (channel?.isEmpty) channels.delete(message.channelId)
  }

  function add(message: Message): void {
    let channel = channels.get(message.channelId)
    if (!channel) {
      channel = new TopicTree()
      channels.set(message.channelId, channel)
    }
    channel.set(message.levels, message)
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
      const before = channels.get(message.channelId)?.get(message.levels)
      if (before) remove(before)
      if (message.payload.length === 0) return undefined
      // A copy: the payload is a view into all that one read of the socket brought, and would keep that alive.
      const kept = { ...message, payload: Uint8Array.from(message.payload) }
      add(kept)
      while (count > maxMessages || bytes > maxBytes) evict(message.domainId)
      // It may have had to make the room itself.
      return shelves.get(kept.domainId)?.messages.has(kept) ? kept : undefined
    },
    get: (channelId, levels) => channels.get(channelId)?.get(levels),
    find(channelId, filter) {
      const channel = channels.get(channelId)
      if (!channel) return { found: [], visits: 0 }
      const before = channel.visits
      const now = Date.now()
      const found = [...channel.find(filter)].filter((message) => !isExpired(message, now))
      return { found, visits: channel.visits - before }
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
