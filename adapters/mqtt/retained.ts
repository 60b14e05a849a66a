import type { Message } from '../../platform/bus/message.ts'
import { matchesFilter } from '../topics.ts'
import { suffixOf } from './routes.ts'

/** Bounds over all channels; the message that was set longest ago makes room. */
const MAX_MESSAGES = 10_000
const MAX_BYTES = 64 * 1024 * 1024

export interface Retained {
  /** Takes the message as the last of its topic; an empty payload removes it [MQTT-3.3.1-6] [MQTT-3.3.1-7]. */
  set(message: Message): void
  /** Those of one channel that a filter matches. */
  find(channelId: string, filter: readonly string[]): Message[]
}

/**
 * Retained messages that were published on this node, by channel and levels, not by topic as written: a subscriber finds
 * them however it writes domain and channel.
 */
export function createRetained(): Retained {
  const channels = new Map<string, Map<string, Message>>()
  /** Oldest first, over all channels. */
  const byAge = new Set<Message>()
  let bytes = 0

  function remove(message: Message): void {
    byAge.delete(message)
    bytes -= message.payload.length
    const channel = channels.get(message.channelId)
    channel?.delete(suffixOf(message.levels))
    if (channel?.size === 0) channels.delete(message.channelId)
  }

  return {
    set(message) {
      const suffix = suffixOf(message.levels)
      const before = channels.get(message.channelId)?.get(suffix)
      if (before) remove(before)
      if (message.payload.length === 0) return
      // A copy: the payload is a view into all that one read of the socket brought, and would keep that alive.
      const kept: Message = { ...message, payload: Uint8Array.from(message.payload) }
      const channel = channels.get(message.channelId)
      if (channel) channel.set(suffix, kept)
      else channels.set(message.channelId, new Map([[suffix, kept]]))
      byAge.add(kept)
      bytes += kept.payload.length
      for (const oldest of byAge) {
        if (byAge.size <= MAX_MESSAGES && bytes <= MAX_BYTES) break
        remove(oldest)
      }
    },
    find(channelId, filter) {
      const found: Message[] = []
      for (const message of channels.get(channelId)?.values() ?? []) {
        if (matchesFilter(message.levels, filter)) found.push(message)
      }
      return found
    },
  }
}
