import type { Message } from '../../platform/bus/message.ts'
import { FilterIndex } from '../filter-index.ts'
import type { ChannelAddress } from '../authority.ts'
import { SparseMap } from './sparse-map.ts'

interface Subscribed {
  readonly levels: readonly string[]
  readonly grant: { readonly channel: ChannelAddress }
  /** Where the session reads it by itself, if it does. */
  readonly place: object | undefined
}

/** The subscriptions of one session, by filter as written. */
export class SessionSubscriptions<R extends Subscribed> extends SparseMap<string, R> {
  /** By channel id; made when the session first reads by itself, which most never do. */
  #channels: Map<string, FilterIndex<R>> | undefined

  override set(filter: string, route: R): void {
    const before = this.get(filter)
    if (before) this.#leaveOut(before)
    super.set(filter, route)
    this.#takeIn(route)
  }

  override delete(filter: string): boolean {
    const before = this.get(filter)
    if (before) this.#leaveOut(before)
    return super.delete(filter)
  }

  /** Those that a message matches which the session reads from the stream by itself; a group's come by their own way. */
  reading({ channelId, levels }: Pick<Message, 'channelId' | 'levels'>): ReadonlySet<R>[] {
    if (!this.#channels) {
      this.#channels = new Map()
      for (const route of this.values()) this.#takeIn(route)
    }
    return this.#channels.get(channelId)?.find(levels) ?? []
  }

  #takeIn(route: R): void {
    if (!this.#channels || !route.place) return
    const { channelId } = route.grant.channel
    let index = this.#channels.get(channelId)
    if (!index) {
      index = new FilterIndex()
      this.#channels.set(channelId, index)
    }
    index.add(route.levels, route)
  }

  #leaveOut(route: R): void {
    const { channelId } = route.grant.channel
    const index = this.#channels?.get(channelId)
    index?.delete(route.levels, route)
    if (index?.width === 0) this.#channels?.delete(channelId)
  }
}
