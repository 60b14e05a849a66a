import { createHash } from 'node:crypto'
import type { Client } from 'pg'
import type { Message } from '../../platform/bus/message.ts'
import { isCanonicalUuid } from '../../platform/identifiers.ts'
import { Outdated } from './outdated.ts'
import { SeriesRoom } from './series-room.ts'
import type { SeriesLimits } from './series-room.ts'

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
  /** Why it may not have one; then nothing is stored of it. */
  refusal: string | undefined
  /** Whether each of its samples is a number and nothing else; readers then read the index alone. */
  isPlain: boolean
  /** The same name in another unit. */
  other: Series | undefined
}

export interface DictionaryOptions {
  /** Any number, unless said. */
  readonly limits?: SeriesLimits
  readonly onAdded?: (count: number) => void
  readonly maxKept?: number
}

/** Series kept in memory at the most; beyond, all are forgotten and asked for again. */
const MAX_KEPT = 200_000
/** A name of more characters counts for as many as it is long. */
const KEPT_CHARACTERS = 256
const CHUNK = 5_000
/** Ids come round again after two thousand millions: then some are taken, and the next ones are tried. */
const TRIES = 100

/**
 * The ids of series, as one writer knows them. What is known came out of the database as committed, on a connection of its
 * own, so it holds whatever becomes of the transaction that uses it; and it lives no longer than the writer's session, so
 * a database that lost something is asked again.
 */
export class Dictionary {
  readonly #client: Client
  readonly #room: SeriesRoom
  readonly #onAdded: (count: number) => void
  readonly #maxKept: number
  readonly #origins = new Map<string, Origin>()
  #kept = 0
  #wanted: Series[] = []
  #noLongerPlain: Series[] = []

  constructor(client: Client, { limits, onAdded, maxKept }: DictionaryOptions = {}) {
    this.#client = client
    this.#room = new SeriesRoom(client, limits)
    this.#onAdded = onAdded ?? (() => undefined)
    this.#maxKept = maxKept ?? MAX_KEPT
  }

  /** To be called between two batches: when too much is known, all is forgotten. */
  makeRoom(): void {
    if (this.#kept > this.#maxKept) this.#forget()
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
    this.#keep(key)
    return origin
  }

  /** The series, with its id once {@link learn} has run. */
  series(origin: Origin, name: string, unit: string | null): Series {
    const known = origin.series.get(name)
    for (let each = known; each; each = each.other) if (each.unit === unit) return each
    const series: Series = { origin, name, unit, id: 0, refusal: undefined, isPlain: true, other: known }
    origin.series.set(name, series)
    this.#keep(name)
    this.#wanted.push(series)
    return series
  }

  /** Says that a series has something else than a number, too; {@link learn} tells the database. */
  addsOther(series: Series): void {
    if (!series.isPlain) return
    series.isPlain = false
    this.#noLongerPlain.push(series)
  }

  /**
   * Finds out, or gives out, the ids of all series that were asked for.
   *
   * @returns how many of them are refused
   */
  async learn(): Promise<number> {
    const wanted = this.#wanted
    const noLongerPlain = this.#noLongerPlain
    this.#wanted = []
    this.#noLongerPlain = []
    try {
      await this.#learnChannels(wanted)
      let refused = 0
      for (let at = 0; at < wanted.length; at += CHUNK) {
        refused += await this.#learnSeries(wanted.slice(at, at + CHUNK))
      }
      await this.#tellOther(noLongerPlain.filter(({ refusal }) => refusal === undefined))
      return refused
    } catch (error) {
      // Some have no id now and would not be asked for again.
      this.#forget()
      throw error
    }
  }

  #keep(text: string): void {
    this.#kept += Math.max(1, text.length / KEPT_CHARACTERS)
  }

  #forget(): void {
    this.#origins.clear()
    this.#room.forget()
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

  async #learnSeries(wanted: readonly Series[]): Promise<number> {
    // Two are one and the same where publishers that have no id are told apart.
    const byKey = new Map<string, Series[]>()
    for (const series of wanted) {
      const key = keyOf(series)
      const same = byKey.get(key)
      if (same) same.push(series)
      else byKey.set(key, [series])
    }
    const learnt = (rows: readonly Row[]) => {
      for (const { id, key, is_plain: isPlain } of rows) {
        for (const series of byKey.get(key) ?? []) {
          series.id = id
          series.isPlain &&= isPlain
        }
        byKey.delete(key)
      }
    }
    learnt(await this.#find([...byKey.keys()]))
    const refused = byKey.size === 0 ? 0 : await this.#refuse(byKey)
    for (let tries = 0; byKey.size > 0; tries++) {
      if (tries === TRIES) throw new Outdated('no free numbers were found for new series')
      learnt(await this.#add(byKey))
      // What somebody else has added meanwhile.
      if (byKey.size > 0) learnt(await this.#find([...byKey.keys()]))
    }
    return refused
  }

  async #find(keys: readonly string[]): Promise<Row[]> {
    const { rows } = await this.#client.query<Row>(
      `select id, is_plain, replace(key::text, '-', '') as key from series where key = any($1)`,
      [keys],
    )
    return rows
  }

  /** Takes those out that their channel or domain has no room for. */
  async #refuse(missing: Map<string, Series[]>): Promise<number> {
    await this.#room.load(Array.from(missing.values(), ([first]) => (first as Series).origin))
    let refused = 0
    for (const [key, same] of missing) {
      const refusal = this.#room.take((same[0] as Series).origin)
      if (refusal === undefined) continue
      for (const series of same) series.refusal = refusal
      missing.delete(key)
      refused += 1
    }
    return refused
  }

  async #add(byKey: ReadonlyMap<string, readonly Series[]>): Promise<Row[]> {
    const wanted = Array.from(byKey.values(), ([first]) => first as Series)
    const { rows } = await this.#client.query<Row>(
      `with added as (
         insert into series (key, channel_no, publisher, subtopic, protocol, name, unit)
         select w.* from unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[])
           as w (key, channel_no, publisher, subtopic, protocol, name, unit)
         on conflict do nothing
         returning id, key, channel_no, is_plain
       ), counted as (
         update stored_channels set series = series + more.count
         from (select channel_no, count(*) from added group by channel_no order by channel_no) as more
         where no = more.channel_no
       )
       select id, is_plain, replace(key::text, '-', '') as key from added`,
      [
        [...byKey.keys()],
        wanted.map(({ origin }) => origin.channelNo),
        wanted.map(({ origin }) => origin.publisher),
        wanted.map(({ origin }) => origin.subtopic),
        wanted.map(({ origin }) => origin.protocol),
        wanted.map(({ name }) => name),
        wanted.map(({ unit }) => unit),
      ],
    )
    this.#onAdded(rows.length)
    return rows
  }

  /** Committed before the samples are, so nobody who sees those reads the index alone. */
  async #tellOther(series: readonly Series[]): Promise<void> {
    if (series.length === 0) return
    const ids = series.map(({ id }) => id)
    await this.#client.query('update series set is_plain = false where id = any($1) and is_plain', [ids])
  }
}

interface Row {
  readonly id: number
  /** Without hyphens. */
  readonly key: string
  readonly is_plain: boolean
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
