import { join } from 'node:path'
import { Client } from 'pg'
import { inject, onTestFinished } from 'vitest'
import { createApi } from './api.ts'
import { cloneDatabase } from './database.ts'
import { eventually } from './eventually.ts'
import { temporaryFolder } from './folder.ts'
import { ADMIN } from './gateway.ts'
import { freePort, startTestNats } from './nats.ts'
import { startProgram } from './program.ts'
import { insertReadings } from './readings.ts'

const MIB = 1_048_576

/** What is exported. */
interface Stored {
  readonly insert: typeof insertReadings
  readonly query: string
}

/**
 * Exports a channel from a gateway in a process of its own.
 *
 * @returns the lines that came, and by how many MiB the process grew at the most above what it had when idle
 */
export async function measureExport(
  rows: number,
  accept: string,
  { insert = insertReadings, query = '' }: Partial<Stored> = {},
) {
  const [database, nats, port] = await Promise.all([cloneDatabase(), startTestNats(), freePort()])
  const url = `http://127.0.0.1:${port}`
  const gateway = startProgram(process.execPath, ['bin/start.mjs'], {
    env: {
      SLUICE_DATABASE_URL: database.url,
      SLUICE_NATS_URL: nats.url,
      SLUICE_NATS_SERVER: inject('natsServer'),
      SLUICE_DATA_DIR: join(await temporaryFolder(), 'data'),
      SLUICE_HTTP_PORT: String(port),
      SLUICE_MQTT_PORT: '0',
      SLUICE_ADMIN_USERNAME: ADMIN.username,
      SLUICE_ADMIN_PASSWORD: ADMIN.password,
    },
  })
  onTestFinished(async () => {
    gateway.child.kill('SIGTERM')
    await gateway.ended
    await Promise.all([nats.stop(), database.drop()])
  })
  await eventually('the banner', () => gateway.output.stdout.includes('Try it:'), 120_000)
  const api = createApi(url)
  const site = await api.given.site()
  const db = new Client({ connectionString: database.url })
  await db.connect()
  const place = { domainId: site.domain.id, channelId: site.channel.id }
  await insert(db, { ...place, count: rows, start: 1_700_000_000 })
  await db.end()

  const path = `${url}/${site.domain.id}/channels/${site.channel.id}/messages`
  const headers = { accept, authorization: `Bearer ${site.token}` }
  async function exported(limit: string, onChunk: () => Promise<void>): Promise<number> {
    const response = await fetch(`${path}?${query}&${limit}`, { headers })
    let lines = 0
    for await (const chunk of response.body ?? []) {
      for (const byte of chunk as Uint8Array) if (byte === 0x0a) lines += 1
      await onChunk()
    }
    return lines
  }

  // Once before, so that what is loaded and compiled for any export counts as idle.
  await exported('limit=5000', () => Promise.resolve())
  const idle = await residentBytes(url)
  let peak = idle
  let nextSample = 0
  const lines = await exported('', async () => {
    if (performance.now() < nextSample) return
    nextSample = performance.now() + 200
    peak = Math.max(peak, await residentBytes(url))
  })
  return { lines, grownMib: (peak - idle) / MIB }
}

async function residentBytes(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1])
}
