import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { SETTINGS } from '../../platform/config-schema.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { createCertificateAuthority } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { ROOT } from '../support/program.ts'
import { openEventStream } from '../support/sse.ts'

let folder: string
let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
const authority = createCertificateAuthority()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-metrics-'))
  const files = { SLUICE_TLS_CERT: join(folder, 'cert.pem'), SLUICE_TLS_KEY: join(folder, 'key.pem') }
  const { cert, key } = authority.issue()
  await writeFile(files.SLUICE_TLS_CERT, cert)
  await writeFile(files.SLUICE_TLS_KEY, key)
  gateway = await startTestGateway(files)
  api = createApi(gateway.url)
  site = await api.given.site()
})
afterAll(async () => {
  await gateway.stop()
  await rm(folder, { recursive: true })
})

const read = async () => (await api.expect(200, 'GET', '/metrics')).text

/** The value of one line, found by its name and labels as they stand. */
async function valueOf(series: string): Promise<number | undefined> {
  const line = (await read()).split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

const reaches = (series: string, value: number) =>
  eventually(`${series} is ${value}`, async () => (await valueOf(series)) === value)

describe('docs/metrics.md', async () => {
  const text = await readFile(join(ROOT, 'docs', 'metrics.md'), 'utf8')
  const described = new Map(
    [...text.matchAll(/^\| `(sluice_\w+)` *\| (\w+) *\|/gm)].map(([, name, type]) => [name, type]),
  )

  it('describes each metric that a gateway shows, with its type, and no other', async () => {
    const shown = new Map(
      [...(await read()).matchAll(/^# TYPE (sluice_\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]),
    )
    expect(Object.fromEntries(described)).toEqual(Object.fromEntries(shown))
  })

  it('names in its alerts and its text what there is', () => {
    const metrics = [...text.matchAll(/sluice_\w+/g)].map(([name]) => name.replace(/_bucket$/, ''))
    expect(metrics.filter((name) => !described.has(name))).toEqual([])
    const variables: string[] = Object.values(SETTINGS).map(({ variable }) => variable)
    const named = [...text.matchAll(/SLUICE_\w+/g)].map(([name]) => name)
    expect(named.filter((name) => !variables.includes(name))).toEqual([])
  })
})

describe('/metrics', () => {
  it('shows what goes on, by protocol and transport, and nothing of whose it is', async () => {
    const device = await connectAsync(`mqtts://127.0.0.1:${gateway.mqttsPort}`, {
      ca: authority.cert,
      username: site.client.id,
      password: site.secret,
      reconnectPeriod: 0,
    })
    onTestFinished(() => void device.end(true))
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${site.topic}`, {
      headers: { authorization: site.auth },
    })
    onTestFinished(() => socket.terminate())
    await new Promise((resolve) => socket.once('open', resolve))
    const live = await openEventStream(
      `${gateway.url}/${site.domain.id}/channels/${site.channel.id}/messages/live`,
      { authorization: site.auth },
    )
    onTestFinished(() => live.close())
    await device.subscribeAsync(site.topic, { qos: 1 })
    await device.publishAsync(site.topic, '[{"n":"x","v":1},{"n":"y","v":2}]', { qos: 1, retain: true })
    await api.expect(401, 'POST', `/${site.topic}`, { auth: 'Client nobody', body: '{}' })

    await reaches('sluice_mqtt_connections{transport="tls"}', 1)
    await reaches('sluice_mqtt_connects_total{transport="tls"}', 1)
    await reaches('sluice_connections{protocol="ws"}', 1)
    await reaches('sluice_messages_received_total{protocol="mqtt"}', 1)
    await reaches('sluice_messages_delivered_total{protocol="ws"}', 1)
    await reaches('sluice_delivery_seconds_count{protocol="mqtt"}', 1)
    await reaches('sluice_delivery_seconds_count{protocol="ws"}', 1)
    await reaches('sluice_connections{protocol="sse"}', 1)
    await reaches('sluice_messages_delivered_total{protocol="sse"}', 1)
    await reaches('sluice_delivery_seconds_count{protocol="sse"}', 1)
    await reaches('sluice_refused_total{protocol="http",reason="unauthenticated"}', 1)
    await reaches('sluice_stream_messages{stream="retained"}', 1)
    await reaches('sluice_mqtt_retained_messages', 1)
    await reaches('sluice_mqtt_queued_messages{state="in_flight"}', 0)
    await reaches('sluice_stream_messages{stream="messages"}', 1)
    await reaches('sluice_readings_stored_total', 2)
    await reaches('sluice_writer_backlog_messages', 0)
    await reaches('sluice_writer_active', 1)
    await reaches('sluice_bus_connected', 1)
    await reaches('sluice_publisher_waiting_messages', 0)
    await reaches('sluice_journal_relay_lag_seconds', 0)
    await reaches('sluice_postgres_connections_max{pool="main"}', 20)
    expect(
      await valueOf('sluice_authority_answers_total{question="principal",from="backend"}'),
    ).toBeGreaterThan(0)
    expect(await valueOf('sluice_tls_certificate_expiry_timestamp_seconds')).toBeGreaterThan(
      Date.now() / 1_000,
    )

    const text = await read()
    const secrets = [site.domain.id, site.channel.id, site.client.id, site.secret, site.domain.route]
    for (const secret of secrets) expect(text).not.toContain(secret)
  })

  it('tells of a process that stands by that it does', async () => {
    const other = await startTestGateway({}, gateway.ground)
    onTestFinished(() => other.stop())
    expect((await createApi(other.url).call('GET', '/metrics')).text).toContain('\nsluice_writer_active 0\n')
  })
})
