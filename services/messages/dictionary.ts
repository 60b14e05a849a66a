import { createHash } from 'node:crypto'
import type { Client } from 'pg'
import type { Message } from '../../platform/bus/message.ts'
import { isCanonicalUuid } from '../../platform/identifiers.ts'
import { Outdated } from './outdated.ts'

/** Where messages come from, as far as it is stored. */
export interface Origin {
  readonly domainId: string
  readonly channelId: string
  readonly publisher: string | null
  readonly subtopic: string
  readonly protocol: string
  /** 0 until it is known. */
  channelNo: number
  readonly series: Map<string, Series>
}

/** One thing that is measured: an origin, a name and a unit. */
export interface Series {
  readonly origin: Origin
  readonly name: string
  readonly unit: string | null
  /** 0 until it is known. */
  id: number
  /** Whether each of its samples is a number and nothing else; readers then read the index alone. */
  isPlain: boolean
  /** The same name in another unit. */
  other: Series | undefined
}

/** Series kept in memory at the most; beyond, all are forgotten and asked for again. */
const MAX_KEPT = 200_000
const CHUNK = 5_000

/**
 * The ids of series, as one writer knows them. What is known came out of the database as committed, on a connection of its
 * own, so it holds whatever becomes of the transaction that uses it; and it lives no longer than the writer's session, so
 * a database that lost something is asked again.
 */
export class Dictionary {
  readonly #client: Client
  readonly #maxKept: number
  readonly #origins = new Map<string, Origin>()
  #kept = 0
  #wanted: Series[] = []
  #noLongerPlain: Series[] = []

  constructor(client: Client, maxKept = MAX_KEPT) {
    this.#client = client
    this.#maxKept = maxKept
  }

  /** @param subject of the message, which stands for domain, channel and subtopic */
  origin(message: Message, subject: string): Origin {
    const key = `${subject} ${message.publisher} ${message.protocol}`
    const known = this.#origins.get(key)
    if (known) return known
    const origin: Origin = {
      domainId: message.domainId,
      channelId: message.channelId,
      publisher: isCanonicalUuid(message.publisher) ? message.publisher : null,
      subtopic: message.levels.join('/'),
      protocol: message.protocol,
      channelNo: 0,
      series: new Map(),
    }
    this.#origins.set(key, origin)
    this.#kept += 1
    return origin
  }

  /** The series, with its id once {@link learn} has run. */
  series(origin: Origin, name: string, unit: string | null): Series {
    const known = origin.series.get(name)
    for (let each = known; each; each = each.other) if (each.unit === unit) return each
    const series: Series = { origin, name, unit, id: 0, isPlain: true, other: known }
    origin.series.set(name, series)
    this.#kept += 1
    this.#wanted.push(series)
    return series
  }

  /** Says that a series has something else than a number, too; {@link learn} tells the database. */
  addsOther(series: Series): void {
    if (!series.isPlain) return
    series.isPlain = false
    this.#noLongerPlain.push(series)
  }

  /** Finds out, or gives out, the ids of all series that were asked for. */
  async learn(): Promise<void> {
    const wanted = this.#wanted
    const noLongerPlain = this.#noLongerPlain
    this.#wanted = []
    this.#noLongerPlain = []
    try {
      await this.#learnChannels(wanted)
      for (let at = 0; at < wanted.length; at += CHUNK) await this.#learnSeries(wanted.slice(at, at + CHUNK))
      await this.#tellOther(noLongerPlain)
    } catch (error) {
      // Some have no id now and would not be asked for again.
      this.#forget()
      throw error
    }
    if (this.#kept > this.#maxKept) this.#forget()
  }

  #forget(): void {
    this.#origins.clear()
    this.#kept = 0
  }

  async #learnChannels(wanted: readonly Series[]): Promise<void> {
    const origins = new Set(wanted.map(({ origin }) => origin).filter(({ channelNo }) => channelNo === 0))
    if (origins.size === 0) return
    const domains = new Map(Array.from(origins, ({ channelId, domainId }) => [channelId, domainId]))
    await this.#client.query(
      `insert into stored_channels (channel_id, domain_id)
       select w.channel_id, w.domain_id from unnest($1::uuid[], $2::uuid[]) as w (channel_id, domain_id)
       where not exists (select from stored_channels c where c.channel_id = w.channel_id)
       on conflict do nothing`,
      [[...domains.keys()], [...domains.values()]],
    )
    // A statement of its own: it sees what another writer has added meanwhile.
    const { rows } = await this.#client.query<{ no: number; channel_id: string }>(
      'select no, channel_id from stored_channels where channel_id = any($1)',
      [[...domains.keys()]],
    )
    const numbers = new Map(rows.map((row) => [row.channel_id, row.no]))
    for (const origin of origins) origin.channelNo = known(numbers.get(origin.channelId))
  }

  async #learnSeries(wanted: readonly Series[]): Promise<void> {
    const keys = wanted.map(keyOf)
    await this.#client.query(
      `insert into series (key, channel_no, publisher, subtopic, protocol, name, unit)
       select w.* from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[])
         as w (key, channel_no, publisher, subtopic, protocol, name, unit)
       where not exists (select from series s where s.key = w.key)
       on conflict do nothing`,
      [
        keys,
        wanted.map(({ origin }) => origin.channelNo),
        wanted.map(({ origin }) => origin.publisher),
        wanted.map(({ origin }) => origin.subtopic),
        wanted.map(({ origin }) => origin.protocol),
        wanted.map(({ name }) => name),
        wanted.map(({ unit }) => unit),
      ],
    )
    const { rows } = await this.#client.query<{ id: number; key: string; is_plain: boolean }>(
      `select id, is_plain, replace(key::text, '-', '') as key from series where key = any($1)`,
      [keys],
    )
    const found = new Map(rows.map((row) => [row.key, row]))
    wanted.forEach((series, i) => {
      const row = found.get(keys[i] ?? '')
      series.id = known(row?.id)
      series.isPlain &&= row?.is_plain ?? false
    })
  }

  /** Committed before the samples are, so nobody who sees those reads the index alone. */
  async #tellOther(series: readonly Series[]): Promise<void> {
    if (series.length === 0) return
    const ids = series.map(({ id }) => id)
    await this.#client.query('update series set is_plain = false where id = any($1) and is_plain', [ids])
  }
}

/** What was just inserted is there, unless it was removed at once, because nothing has been stored of it yet. */
function known(number: number | undefined): number {
  if (number === undefined) throw new Outdated('a series was removed while it was being stored')
  return number
}

/** Names a series by 128 bits, which an index takes whatever the length of names and subtopics. */
function keyOf({ origin, name, unit }: Series): string {
  const parts = [origin.channelNo, origin.publisher, origin.subtopic, origin.protocol, name, unit]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}
