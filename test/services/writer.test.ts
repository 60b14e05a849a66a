import { connect, headers } from 'nats'
import type { NatsConnection } from 'nats'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connectBus } from '../../platform/bus/connect.ts'
import { createPublisher } from '../../platform/bus/publisher.ts'
import { createLogger } from '../../platform/log.ts'
import type { Logger } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createWriterMetrics } from '../../services/messages/writer-metrics.ts'
import type { WriterMetrics } from '../../services/messages/writer-metrics.ts'
import { startWriter } from '../../services/messages/writer.ts'
import type { Writer, WriterOptions } from '../../services/messages/writer.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { captureLog } from '../support/log.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'

let ground: Ground
let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
let nats: NatsConnection
let db: Client
beforeEach(async () => {
  ground = await startGround()
  // Without a writer of its own: the tests say when one runs.
  gateway = await startTestGateway({ SLUICE_ROLES: 'http,mqtt,ws,api,reader' }, ground)
  api = createApi(gateway.url)
  site = await api.given.site()
  nats = await connect({ servers: ground.natsUrl })
  db = new Client({ connectionString: ground.databaseUrl })
  // A test takes the database away on purpose.
  db.on('error', () => undefined)
  await db.connect()
})
afterEach(async () => {
  await db.end().catch(() => undefined)
  await nats.close()
  await gateway.stop()
  await ground.stop()
})

interface Running {
  readonly writer: Writer
  readonly metrics: WriterMetrics
  stop(): Promise<void>
}

const lost = async ({ metrics }: Running) => (await metrics.lost.get()).values[0]?.value

async function startOne(
  log: Logger = createLogger('silent'),
  options: Pick<WriterOptions, 'seriesLimits' | 'deadLetterBytes'> = {},
): Promise<Running> {
  const bus = await connectBus({ servers: ground.natsUrl, name: 'test writer', log })
  const publisher = createPublisher(bus)
  const metrics = createWriterMetrics(createMetrics().registry)
  const writer = startWriter({ bus, publisher, databaseUrl: ground.databaseUrl, log, metrics, ...options })
  return {
    writer,
    metrics,
    async stop() {
      await writer.stop()
      await publisher.stop()
      await bus.drain()
    },
  }
}

async function publish(count: number, from = 0): Promise<void> {
  const subject = `m.${site.domain.id}.c.${site.channel.id}`
  const jetstream = nats.jetstream()
  const numbers = Array.from({ length: count }, (_, i) => from + i)
  await Promise.all(
    numbers.map((n) =>
      jetstream.publish(
        subject,
        JSON.stringify([
          { n: 'x', v: n },
          { n: 'y', v: n },
        ]),
      ),
    ),
  )
}

async function storedValues(): Promise<number[]> {
  const { rows } = await db.query<{ value: number }>(
    `select value from readings where name = 'x' order by value`,
  )
  return rows.map((row) => row.value)
}

/** Readings that the days of channels say are stored. */
async function countedDays(): Promise<number> {
  const { rows } = await db.query<{ stored: number }>('select sum(stored)::int as stored from stored_days')
  return rows[0]?.stored ?? 0
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

describe('the writer', () => {
  it('stores what was on the stream before it started, and goes on behind it after a restart', async () => {
    await publish(300)
    const first = await startOne()
    await eventually('the backlog is stored', async () => (await storedValues()).length === 300)
    await first.stop()
    await publish(300, 300)
    const second = await startOne()
    await eventually('the rest is stored', async () => (await storedValues()).length === 600)
    expect(await storedValues()).toEqual(upTo(600))
    await second.stop()
  })

  it('stores nothing twice when two run, and the second takes over when the first ends', async () => {
    const [first, second] = await Promise.all([startOne(), startOne()])
    await publish(500)
    await eventually('all is stored', async () => (await storedValues()).length === 500)
    const leader = first.writer.position() ? first : second
    const standby = leader === first ? second : first
    expect(standby.writer.position()).toBeUndefined()
    await leader.stop()
    await publish(500, 500)
    await eventually('the other goes on', async () => (await storedValues()).length === 1000)
    expect(await storedValues()).toEqual(upTo(1000))
    await standby.stop()
  })

  it('stores rows and position together: a writer whose position was moved stores nothing', async () => {
    const one = await startOne()
    await publish(10)
    await eventually('ten are stored', async () => (await storedValues()).length === 10)
    // As if another writer had stored the next five already.
    await db.query('update stream_positions set seq = seq + 5, taken_ns = null')
    await publish(10, 10)
    await eventually('the rest behind them', async () => (await storedValues()).length === 15)
    expect(await storedValues()).toEqual([...upTo(10), 15, 16, 17, 18, 19])
    expect(await countedDays()).toBe(2 * 15)
    await one.stop()
  })

  it('loses nothing and repeats nothing when its connections to Postgres are cut again and again', async () => {
    const one = await startOne()
    const cut = new Client({ connectionString: ground.databaseUrl })
    await cut.connect()
    for (let round = 0; round < 10; round++) {
      await publish(100, round * 100)
      await cut.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sluice writer'`,
      )
    }
    await cut.end()
    await eventually('all is stored', async () => (await storedValues()).length >= 1000)
    expect(await storedValues()).toEqual(upTo(1000))
    expect(await countedDays()).toBe(2 * 1000)
    await one.stop()
  })

  it('counts what was removed before it was stored, and goes on behind it', async () => {
    const first = await startOne()
    await publish(10)
    await eventually('ten are stored', async () => (await storedValues()).length === 10)
    await first.stop()
    await publish(10, 10)
    await (await nats.jetstreamManager()).streams.purge('messages', { seq: 16 })
    const second = await startOne()
    await eventually('what is left is stored', async () => (await storedValues()).length === 15)
    expect(await lost(second)).toBe(5)
    await second.stop()
  })

  it('counts what was removed while it was running and behind, and goes on behind it', async () => {
    const { log, lines } = captureLog()
    const one = await startOne(log)
    await publish(1)
    await eventually('it runs', async () => (await storedValues()).length === 1)
    const manager = await nats.jetstreamManager()
    await db.query('begin; select from stream_positions for update')
    const total = 20_000
    const subject = `m.${site.domain.id}.c.${site.channel.id}`
    for (let i = 1; i < total; i++) nats.publish(subject, JSON.stringify([{ n: 'x', v: i }]))
    await nats.flush()
    // What somebody deletes by hand is not lost.
    await manager.streams.deleteMessage('messages', total - 10)
    // More than a writer holds that cannot store.
    await manager.streams.purge('messages', { seq: total - 99 })
    await db.query('commit')
    await eventually('the end is stored', async () => (await storedValues()).at(-1) === total - 1)
    const stored = await storedValues()
    await eventually('the rest is counted', async () => (await lost(one)) === total - 1 - stored.length)
    expect(stored.length).toBeLessThan(total - 100)
    expect(lines.filter((line) => line.includes('before they were stored'))).toHaveLength(1)
    await one.stop()
  })

  it('goes on at the end of a stream whose last messages the server has lost', async () => {
    const first = await startOne()
    await publish(10)
    await eventually('ten are stored', async () => (await storedValues()).length === 10)
    await first.stop()
    // As after a power cut: Postgres has synced what the stream no longer has.
    await db.query('update stream_positions set seq = seq + 5')
    const second = await startOne()
    await eventually('it has begun', () => second.writer.position()?.seq === 10)
    await publish(10, 10)
    await eventually('what is new is stored', async () => (await storedValues()).length === 20)
    expect(await storedValues()).toEqual(upTo(20))
    await second.stop()
  })

  it('goes on when the bus drops its connection', async () => {
    const one = await startOne()
    await publish(50)
    await eventually('fifty are stored', async () => (await storedValues()).length === 50)
    const consumers = await (await nats.jetstreamManager()).consumers.list('messages').next()
    for (const { name } of consumers) await (await nats.jetstreamManager()).consumers.delete('messages', name)
    await publish(50, 50)
    await eventually('the rest too', async () => (await storedValues()).length === 100)
    expect(await storedValues()).toEqual(upTo(100))
    await one.stop()
  })
})

describe('a message that cannot be stored', () => {
  it.each([
    ['a record without a name', '[{"v":1}]', 'application/senml+json', 'record 0'],
    [
      'a second record that is wrong',
      '[{"n":"a","v":1},{"n":"b","v":"1"}]',
      'application/senml+json',
      'record 1, field v',
    ],
    ['JSON that ends early', '[{"n":"a"', '', 'invalid_json'],
    ['objects without end', '{"a":'.repeat(5_000) + '1' + '}'.repeat(5_000), 'application/json', 'too_deep'],
    [
      'a character that Postgres cannot hold',
      '[{"n":"a","vs":"\\u0000"}]',
      'application/senml+json',
      'invalid_text',
    ],
    ['more objects than a message may hold', `[${'{},'.repeat(1_000)}{}]`, 'application/json', 'too_large'],
    ['a number beyond all doubles', '{"a":[1e400]}', 'application/json', 'invalid_number: 1e400'],
    [
      'a number of very many digits',
      `{"a":0.1${'0'.repeat(200_000)}1}`,
      'application/json',
      'invalid_number: 0.1000',
    ],
    ['a number too small for one', '{"a":1e-9999}', 'application/json', 'invalid_number: 1e-9999'],
    [
      'a long name',
      JSON.stringify([{ n: 'n'.repeat(2_049), v: 1 }]),
      'application/senml+json',
      'invalid_name',
    ],
    [
      'a long unit',
      JSON.stringify([{ n: 'a', u: 'u'.repeat(257), v: 1 }]),
      'application/senml+json',
      'invalid_unit',
    ],
    ['brackets without end', '['.repeat(5_000) + ']'.repeat(5_000), 'application/senml+json', 'record 0'],
  ])(
    '(%s) goes to the dead letters with its reason, and stops nobody',
    async (_what, payload, contentType, reason) => {
      const subject = `${site.domain.id}.c.${site.channel.id}.line`
      const letters = nats.subscribe('deadletters.>', { max: 1 })
      const one = await startOne()
      // Neighbours in the same batch, before and after it.
      await publish(5)
      // Past the door of HTTP, which would refuse it: as MQTT 3.1.1 or a NATS client brings it.
      const fields = headers()
      if (contentType !== '') fields.set('Content-Type', contentType)
      await nats.jetstream().publish(`m.${subject}`, payload, { headers: fields })
      await publish(5, 5)
      for await (const letter of letters) {
        expect(letter.subject).toBe(`deadletters.${subject}`)
        expect(letter.string()).toBe(payload)
        expect(letter.headers?.get('Sluice-Reason')).toContain(reason)
      }
      await eventually('the neighbours are stored', async () => (await storedValues()).length === 10)
      expect(await storedValues()).toEqual(upTo(10))
      await one.stop()
    },
  )

  it('whose letter would be too large for the bus is kept without its payload, and stops nobody', async () => {
    const letters = nats.subscribe('deadletters.>', { max: 1 })
    const one = await startOne()
    // The subject of the letter is longer than that of the message, which is as long as the bus takes.
    const channel = `${site.domain.id}.c.${site.channel.id}`
    const subject = `m.${channel}.${'x'.repeat(3_895 - channel.length - 3)}`
    await nats.jetstream().publish(subject, '{broken')
    await publish(5)
    for await (const letter of letters) {
      expect(letter.subject).toBe(`deadletters.${channel}`)
      expect(letter.headers?.get('Sluice-Payload-Bytes')).toBe('7')
    }
    await eventually('what follows is stored', async () => (await storedValues()).length === 5)
    await one.stop()
  })

  it('(formats longer than an index takes) costs the neighbours nothing, and the log a few short lines', async () => {
    const channel = `${site.domain.id}.c.${site.channel.id}`
    const letter = () => String.fromCharCode(97 + Math.floor(Math.random() * 26))
    // What does not compress, or the index might take it.
    const format = () => Array.from({ length: 3_000 }, letter).join('')
    for (let i = 0; i < 20; i++) nats.publish(`m.${channel}.${format()}`, '{"a":1}')
    await publish(5)
    for (let i = 0; i < 20; i++) nats.publish(`m.${channel}.${format()}`, '{"a":1}')
    await publish(5, 5)
    const { log, lines } = captureLog()
    const letters = nats.subscribe('deadletters.>', { max: 40 })
    const one = await startOne(log)
    await eventually('the neighbours are stored', async () => (await storedValues()).length === 10)
    const { state } = await (await nats.jetstreamManager()).streams.info('deadletters')
    expect(state.messages).toBe(40)
    // Found before the database was asked, which would find them one by one, by halves.
    for await (const each of letters) expect(each.headers?.get('Sluice-Reason')).toContain('invalid_format')
    expect(lines.filter((line) => line.includes('dead letters')).length).toBeLessThanOrEqual(10)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(1_000)
    await one.stop()
  })

  it('(a name that its channel has no room for) goes there too, and what is known is stored as before', async () => {
    const { log } = captureLog()
    const one = await startOne(log, { seriesLimits: { perChannel: 2, perDomain: 2 } })
    const letters = nats.subscribe('deadletters.>', { max: 1 })
    await publish(5)
    const subject = `m.${site.domain.id}.c.${site.channel.id}`
    await nats.jetstream().publish(subject, JSON.stringify(['x', 'z'].map((n) => ({ n, v: 99 }))))
    await publish(5, 5)
    for await (const each of letters) expect(each.headers?.get('Sluice-Reason')).toContain('too_many_series')
    await eventually('the others are stored', async () => (await storedValues()).length === 10)
    expect(await storedValues()).toEqual(upTo(10))
    expect(await countedDays()).toBe(2 * 10)
    expect((await one.metrics.refusedSeries.get()).values[0]?.value).toBe(1)
    expect((await one.metrics.addedSeries.get()).values[0]?.value).toBe(2)
    await one.stop()
  })

  it('pushes out older dead letters of its own domain when those are many, and nobody else’s', async () => {
    const other = await api.given.site()
    const { log } = captureLog()
    const one = await startOne(log, { deadLetterBytes: 20_000 })
    const manager = await nats.jetstreamManager()
    const lettersOf = async ({ domain }: typeof site) => {
      const info = await manager.streams.info('deadletters', {
        subjects_filter: `deadletters.${domain.id}.>`,
      })
      return Object.keys(info.state.subjects ?? {}).map((subject) => subject.split('.').at(-1))
    }
    await nats.jetstream().publish(`m.${other.domain.id}.c.${other.channel.id}.kept`, '{broken')
    for (let i = 0; i < 100; i++)
      await nats
        .jetstream()
        .publish(`m.${site.domain.id}.c.${site.channel.id}.${i}`, `{broken${' '.repeat(1_000)}`)
    await publish(1)
    await eventually('all is behind', async () => (await storedValues()).length === 1)
    const left = await lettersOf(site)
    expect(left).toContain('99')
    expect(left).not.toContain('80')
    expect(left.length).toBeGreaterThanOrEqual(5)
    expect(await lettersOf(other)).toEqual(['kept'])
    await one.stop()
  })

  it('because the database refuses its data goes there too, found among its neighbours by halves', async () => {
    await db.query('alter table samples add constraint no_bad_luck check (value <> 13)')
    await publish(30)
    const one = await startOne()
    await eventually('the neighbours are stored', async () => (await storedValues()).length === 29)
    expect(await storedValues()).toEqual(upTo(30).filter((value) => value !== 13))
    const { state } = await (await nats.jetstreamManager()).streams.info('deadletters')
    expect(state.messages).toBe(1)
    expect(await countedDays()).toBe(2 * 29)
    await one.stop()
  })

  it('(a name longer than an index takes) stops nobody', async () => {
    const one = await startOne()
    await nats
      .jetstream()
      .publish(`m.${site.domain.id}.c.${site.channel.id}`, JSON.stringify([{ n: 'n'.repeat(100_000), v: 1 }]))
    await publish(5)
    await eventually('what follows is stored', async () => (await storedValues()).length === 5)
    await one.stop()
  })

  it('that is no JSON at all is delivered live and not stored, and is no dead letter', async () => {
    const one = await startOne()
    nats.publish(`m.${site.domain.id}.c.${site.channel.id}`, new Uint8Array([1, 2, 3]))
    await publish(1)
    await eventually('what follows is stored', async () => (await storedValues()).length === 1)
    const { state } = await (await nats.jetstreamManager()).streams.info('deadletters')
    expect(state.messages).toBe(0)
    await one.stop()
  })
})
