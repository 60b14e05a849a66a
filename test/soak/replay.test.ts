import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished } from 'vitest'
import { percentile } from '../../bench/support/percentile.ts'
import { connectBus } from '../../platform/bus/connect.ts'
import { createPublisher } from '../../platform/bus/publisher.ts'
import { createLogger } from '../../platform/log.ts'
import { createApi } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'

const BACKLOG = 60_000
/** Messages that a publisher has under way at once. */
const UNDER_WAY = 500
const REPLAYS = 4
const MIB = 1_048_576

it(`${REPLAYS} replays beside a publisher at full rate lose nothing, stay bounded, and let live messages through`, async () => {
  const ground = await startGround()
  const gateway = await startTestGateway({ SLUICE_STREAM_MAX_BYTES: '1073741824' }, ground)
  const api = createApi(gateway.url)
  const [site, probed] = [await api.given.site(), await api.given.site()]
  const bus = await connectBus({ servers: ground.natsUrl, name: 'test', log: createLogger('silent') })
  const publisher = createPublisher(bus)
  const mqtt = await connectAsync(gateway.mqttUrl, {
    username: probed.client.id,
    password: probed.secret,
    protocolVersion: 5,
  })
  onTestFinished(async () => {
    await mqtt.endAsync()
    await publisher.stop()
    await bus.drain()
    await gateway.stop()
    await ground.stop()
  })

  let published = 0
  async function publishOne(): Promise<void> {
    const payload = Buffer.from(JSON.stringify([{ n: 'x', v: published }]))
    published += 1
    await new Promise<void>((resolve, reject) => {
      publisher.publish(`m.${site.domain.id}.c.${site.channel.id}`, payload, undefined, (error) =>
        error ? reject(error) : resolve(),
      )
    })
  }
  async function publishWhile(isWanted: () => boolean): Promise<void> {
    const lane = async () => {
      while (isWanted()) await publishOne()
    }
    await Promise.all(Array.from({ length: UNDER_WAY }, lane))
  }

  // A device that tells itself the time, over the adapter that the replays share a process with.
  const delays: number[] = []
  let probes = 0
  await mqtt.subscribeAsync(probed.topic, { qos: 1 })
  mqtt.on('message', (_topic, payload) => delays.push(performance.now() - Number(payload.toString())))
  async function probeWhile(isWanted: () => boolean): Promise<number[]> {
    delays.length = 0
    probes = 0
    while (isWanted()) {
      probes += 1
      await mqtt.publishAsync(probed.topic, String(performance.now()), { qos: 1 })
    }
    await eventually('every probe has come', () => delays.length === probes)
    return [...delays]
  }

  const beganMs = performance.now()
  const filling = publishWhile(() => published < BACKLOG)
  const alone = await probeWhile(() => published < BACKLOG)
  await filling
  const perSecond = (BACKLOG * 1_000) / (performance.now() - beganMs)

  const rssBefore = process.memoryUsage().rss
  let most = 0
  const sampler = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20)
  let isOver = false
  const [publishing, probing] = [publishWhile(() => !isOver), probeWhile(() => !isOver)]
  const from = published
  const replayBeganMs = performance.now()
  const path = `/${site.domain.id}/channels/${site.channel.id}/replay`
  const answers = await Promise.all(
    Array.from({ length: REPLAYS }, async () => {
      const body = { from_sequence: 1, limit: BACKLOG, max_bytes: 256 * MIB }
      const { text } = await api.expect(200, 'POST', path, { token: site.token, body })
      return text.trimEnd().split('\n')
    }),
  )
  const seconds = (performance.now() - replayBeganMs) / 1_000
  isOver = true
  await publishing
  const beside = await probing
  clearInterval(sampler)

  for (const lines of answers) {
    const summary = lines.pop() ?? ''
    expect(JSON.parse(summary)).toMatchObject({ replay: { delivered: BACKLOG } })
    const sequences = lines.map((line) => (JSON.parse(line) as { sequence: number }).sequence)
    expect(sequences.every((seq, i) => i === 0 || seq > (sequences[i - 1] ?? 0))).toBe(true)
  }
  await eventually(
    'all that was published is stored',
    async () => {
      const { rows } = await ground.query('select count(*)::int as stored from samples')
      return Number(rows[0]?.stored) === published
    },
    300_000,
  )
  console.info({
    perSecond: Math.round(perSecond),
    perSecondBeside: Math.round((published - from) / seconds),
    replayedPerSecond: Math.round((REPLAYS * BACKLOG) / seconds),
    aloneMs: { p50: percentile(alone, 0.5), p99: percentile(alone, 0.99) },
    besideMs: { p50: percentile(beside, 0.5), p99: percentile(beside, 0.99) },
    rssMiB: Math.round((most - rssBefore) / MIB),
  })
  // The answers themselves are in this process, too: some 300 bytes a line, twice.
  expect((most - rssBefore) / MIB).toBeLessThan(400)
})
