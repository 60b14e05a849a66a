import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Message } from '../../platform/bus/message.ts'
import { Dictionary } from '../../services/messages/dictionary.ts'
import type { DictionaryOptions, Series } from '../../services/messages/dictionary.ts'
import { cloneDatabase } from '../support/database.ts'
import type { TestDatabase } from '../support/database.ts'

let database: TestDatabase
const clients: Client[] = []
beforeEach(async () => {
  database = await cloneDatabase()
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()))
  await database.drop()
})

async function open(options?: DictionaryOptions): Promise<Dictionary> {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  clients.push(client)
  return new Dictionary(client, options)
}

const message: Message = {
  domainId: randomUUID(),
  channelId: randomUUID(),
  levels: ['floor', '1'],
  publisher: randomUUID(),
  protocol: 'mqtt',
  contentType: '',
  receivedAtNs: 0n,
  payload: new Uint8Array(),
  qos: 0,
  retain: false,
}

/** Ids of many series, as a writer asks for them. */
async function idsOf(
  dictionary: Dictionary,
  names: readonly string[],
  unit: string | null = null,
): Promise<number[]> {
  const origin = dictionary.origin(message, 'subject')
  const series = names.map((name): Series => dictionary.series(origin, name, unit))
  await dictionary.learn()
  return series.map(({ id }) => id)
}

const names = Array.from({ length: 50 }, (_, i) => `n${i}`)

describe('the dictionary of series', () => {
  it('gives each series one id, also to writers that ask at the same time and after a restart', async () => {
    const [one, other] = [await open(), await open()]
    const [ids, others] = await Promise.all([idsOf(one, names), idsOf(other, [...names].reverse())])
    expect(new Set(ids).size).toBe(names.length)
    expect(others.reverse()).toEqual(ids)
    expect(await idsOf(await open(), names)).toEqual(ids)
  })

  it('knows a name in another unit, or by nobody, as another series', async () => {
    const dictionary = await open()
    const ids = [...(await idsOf(dictionary, ['a'])), ...(await idsOf(dictionary, ['a'], 'Cel'))]
    const foreign = dictionary.series(dictionary.origin({ ...message, publisher: '' }, 'subject'), 'a', null)
    await dictionary.learn()
    expect(new Set([...ids, foreign.id]).size).toBe(3)
    expect(foreign.origin.publisher).toBeNull()
  })

  it('remembers which series have had anything but numbers, also after a restart', async () => {
    const dictionary = await open()
    await idsOf(dictionary, ['number', 'text'])
    dictionary.addsOther(dictionary.series(dictionary.origin(message, 'subject'), 'text', null))
    dictionary.addsOther(dictionary.series(dictionary.origin(message, 'subject'), 'new', null))
    await dictionary.learn()
    const later = await open()
    const origin = later.origin(message, 'subject')
    const series = ['number', 'text', 'new'].map((name) => later.series(origin, name, null))
    await later.learn()
    expect(series.map(({ isPlain }) => isPlain)).toEqual([true, false, false])
  })

  it('forgets when it knows too many, and finds the same ids again', async () => {
    const dictionary = await open({ maxKept: 10 })
    const ids = await idsOf(dictionary, names)
    dictionary.makeRoom()
    const origin = dictionary.origin(message, 'subject')
    expect(origin.series.size).toBe(0)
    expect(await idsOf(dictionary, names)).toEqual(ids)
  })

  it('gives a channel, and a domain, so many series and no more, also after a restart', async () => {
    const limits = { perChannel: 20, perDomain: 30 }
    const first = await open({ limits })
    expect((await idsOf(first, names)).filter((id) => id === 0)).toHaveLength(30)
    const later = await open({ limits })
    const ids = await idsOf(later, ['new', ...names])
    expect(ids.filter((id) => id !== 0)).toEqual(await idsOf(later, names.slice(0, 20)))
    const neighbour = { ...message, channelId: randomUUID() }
    const series = names.map((name) => later.series(later.origin(neighbour, 'its subject'), name, null))
    expect(await later.learn()).toBe(40)
    expect(series.map(({ refusal }) => refusal)).toEqual([
      ...Array.from({ length: 10 }, () => undefined),
      ...Array.from({ length: 40 }, () => 'too_many_series: the domain has 30 already'),
    ])
  })

  it('goes on when its numbers have come round and some are taken', async () => {
    const ids = await idsOf(await open(), names)
    const [client] = clients
    const sequence = `pg_get_serial_sequence('series', 'id')`
    await client?.query(`select setval(${sequence}, 2147483647)`)
    const more = await idsOf(await open(), ['one more', 'and another'])
    expect(new Set([...ids, ...more]).size).toBe(names.length + 2)
    expect(more).not.toContain(0)
  })
})
