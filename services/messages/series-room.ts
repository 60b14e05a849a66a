import type { Client } from 'pg'

/** How many series one tenant may have: each costs the database a place for ever, and everybody's writer the time to make it. */
export interface SeriesLimits {
  readonly perChannel: number
  readonly perDomain: number
}

interface Place {
  readonly channelNo: number
  readonly domainId: string
}

/** The room that channels and domains have for more series. */
export class SeriesRoom {
  readonly #client: Client
  readonly #limits: SeriesLimits
  readonly #ofChannels = new Map<number, number>()
  readonly #ofDomains = new Map<string, number>()

  constructor(client: Client, limits: SeriesLimits = { perChannel: Infinity, perDomain: Infinity }) {
    this.#client = client
    this.#limits = limits
  }

  /** Once for each channel and domain: from then on they are counted along, and a removal of series ends the writer's session. */
  async load(places: readonly Place[]): Promise<void> {
    const channels = new Set(
      places.map(({ channelNo }) => channelNo).filter((no) => !this.#ofChannels.has(no)),
    )
    const domains = new Set(places.map(({ domainId }) => domainId).filter((id) => !this.#ofDomains.has(id)))
    if (channels.size > 0) {
      const { rows } = await this.#client.query<{ no: number; series: number }>(
        'select no, series from stored_channels where no = any($1)',
        [[...channels]],
      )
      for (const { no, series } of rows) this.#ofChannels.set(no, series)
    }
    if (domains.size > 0) {
      const { rows } = await this.#client.query<{ id: string; series: number }>(
        `select domain_id as id, sum(series)::int as series from stored_channels where domain_id = any($1) group by domain_id`,
        [[...domains]],
      )
      for (const { id, series } of rows) this.#ofDomains.set(id, series)
    }
  }

  /** @returns why there may be no more; `undefined` when there is now one more */
  take({ channelNo, domainId }: Place): string | undefined {
    const { perChannel, perDomain } = this.#limits
    const ofChannel = this.#ofChannels.get(channelNo) ?? 0
    const ofDomain = this.#ofDomains.get(domainId) ?? 0
    if (ofChannel >= perChannel) return `too_many_series: the channel has ${perChannel} already`
    if (ofDomain >= perDomain) return `too_many_series: the domain has ${perDomain} already`
    this.#ofChannels.set(channelNo, ofChannel + 1)
    this.#ofDomains.set(domainId, ofDomain + 1)
    return undefined
  }

  forget(): void {
    this.#ofChannels.clear()
    this.#ofDomains.clear()
  }
}
