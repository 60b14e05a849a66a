import { filterSubjects } from '../../platform/bus/subject.ts'
import type { ChannelAddress } from '../authority.ts'
import type { Bookmark } from './encode.ts'
import { SparseMap } from './sparse-map.ts'

/** The two subjects of a channel that messages come on: the channel itself, and all below it. */
export interface Place {
  readonly root: Bookmark
  readonly below: Bookmark
}

/** How far a session that outlives its connection has come, by channel. */
export class Bookmarks {
  readonly #places = new SparseMap<string, Place>()

  /** The channel's, made when first asked for. @param at where a new one begins, by subject; everything up to there is not wanted */
  open({ domainId, channelId }: ChannelAddress, at: (subject: string) => number): Place {
    let place = this.#places.get(channelId)
    if (!place) {
      const [root, below] = filterSubjects(domainId, channelId, ['#']).map((subject) => ({
        subject,
        channelId,
        at: at(subject),
        isLive: false,
        newest: 0,
      })) as [Bookmark, Bookmark]
      place = { root, below }
      this.#places.set(channelId, place)
    }
    return place
  }

  has(channelId: string): boolean {
    return this.#places.has(channelId)
  }

  /** Whether the session reads by it: no longer when its channel was dropped, also when that has been opened anew. */
  holds(bookmark: Bookmark): boolean {
    const place = this.#places.get(bookmark.channelId)
    return place?.root === bookmark || place?.below === bookmark
  }

  drop(channelId: string): void {
    this.#places.delete(channelId)
  }

  *all(): Iterable<Bookmark> {
    for (const { root, below } of this.#places.values()) {
      yield root
      yield below
    }
  }
}

export const bookmarkOf = ({ root, below }: Place, levels: readonly string[]): Bookmark =>
  levels.length === 0 ? root : below
