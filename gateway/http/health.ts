import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Router } from '@koa/router'
import { sql } from 'kysely'
import type { Registry } from 'prom-client'
import type { Bus } from '../../platform/bus/connect.ts'
import type { Db } from '../../platform/db/connect.ts'
import type { RequestState } from '../../services/auth/types.ts'

const CHECK_TIMEOUT_MS = 1_000

export interface HealthParts {
  readonly bus: Bus
  /** Absent in a process that needs none. */
  readonly db: Db | undefined
  readonly registry: Registry
}

/** Whether the process lives, whether it can work, and what it counts. */
export function healthRoutes({ bus, db, registry }: HealthParts): Router<RequestState> {
  const router = new Router<RequestState>()
  const instanceId = randomUUID()
  const { version } = readPackage()

  async function findMissing(): Promise<string[]> {
    const missing: string[] = []
    if (!bus.isConnected) missing.push('nats')
    if (db && !(await answers(db))) missing.push('postgres')
    return missing
  }

  router.get('/healthz', (ctx) => {
    ctx.body = { status: 'pass' }
  })

  router.get('/readyz', async (ctx) => {
    const missing = await findMissing()
    ctx.status = missing.length === 0 ? 200 : 503
    ctx.body = missing.length === 0 ? { status: 'ready' } : { status: 'not ready', missing }
  })

  router.get(['/health', '/http/health'], async (ctx) => {
    const missing = await findMissing()
    ctx.status = missing.length === 0 ? 200 : 503
    ctx.body = {
      status: missing.length === 0 ? 'pass' : 'fail',
      version,
      commit: '',
      description: 'sluice service',
      build_time: '',
      instance_id: instanceId,
      ...(missing.length === 0 ? {} : { missing }),
    }
    ctx.type = 'application/health+json'
  })

  router.get('/metrics', async (ctx) => {
    ctx.body = await registry.metrics()
    ctx.type = registry.contentType
  })

  return router
}

async function answers(db: Db): Promise<boolean> {
  const timeout = AbortSignal.timeout(CHECK_TIMEOUT_MS)
  const late = new Promise<false>((resolve) =>
    timeout.addEventListener('abort', () => resolve(false), { once: true }),
  )
  const asked = sql`select 1`.execute(db).then(
    () => true,
    () => false,
  )
  return Promise.race([asked, late])
}

/** The file stands two folders up from here in the sources, and three from the compiled code. */
function readPackage(): { version: string } {
  for (const place of ['../../package.json', '../../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as { version?: string }
      if (found.version !== undefined) return { version: found.version }
    } catch {
      // Not there: the other place has it.
    }
  }
  return { version: 'unknown' }
}
