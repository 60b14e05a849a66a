import { randomUUID } from 'node:crypto'
import type { Registry } from 'prom-client'
import { z } from 'zod'
import type { Bus } from '../../platform/bus/connect.ts'
import type { JetStreamWatch } from '../../platform/bus/jetstream-watch.ts'
import type { Probe } from '../../platform/db/probe.ts'
import { Reply, endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { VERSION } from '../version.ts'

export interface HealthParts {
  readonly bus: Bus
  readonly jetStream: JetStreamWatch
  /** Absent in a process that needs no database. */
  readonly database: Probe | undefined
  /** Whether somebody says who may do what; absent in a process that knows it itself, or need not. */
  readonly askAuthority: (() => Promise<boolean>) | undefined
  readonly registry: Registry
}

/** Whether the process lives, whether it can work, and what it counts. */
export function healthEndpoints(parts: HealthParts): Endpoint[] {
  const { bus, jetStream, database, askAuthority, registry } = parts
  const instanceId = randomUUID()
  const open = { method: 'get', access: 'anyone', status: 200 } as const

  async function findMissing(): Promise<string[]> {
    const missing: string[] = []
    if (!bus.isConnected) missing.push('nats')
    else if (!jetStream.answers) missing.push('jetstream')
    if (database && !(await database.answers())) missing.push('postgres')
    if (bus.isConnected && askAuthority && !(await askAuthority())) missing.push('api')
    return missing
  }

  return [
    endpoint({
      ...open,
      path: '/healthz',
      summary: 'Whether the process lives',
      response: z.object({ status: z.literal('pass') }),
      handle: () => Promise.resolve({ status: 'pass' }),
    }),

    endpoint({
      ...open,
      path: '/readyz',
      summary: 'Whether the process can work; 503 names what is missing',
      response: z.object({ status: z.string(), missing: z.array(z.string()).optional() }),
      async handle() {
        const missing = await findMissing()
        return missing.length === 0 ? { status: 'ready' } : new Reply(503, { status: 'not ready', missing })
      },
    }),

    endpoint({
      ...open,
      path: ['/health', '/http/health'],
      summary: "The same in the form that Magistrala's clients read",
      response: z.object({
        status: z.enum(['pass', 'fail']),
        version: z.string(),
        commit: z.string(),
        description: z.string(),
        build_time: z.string(),
        instance_id: z.string(),
        message: z.string().optional(),
      }),
      async handle() {
        const missing = await findMissing()
        const isHealthy = missing.length === 0
        const report = {
          status: isHealthy ? 'pass' : 'fail',
          version: VERSION,
          commit: '',
          description: 'sluice service',
          build_time: '',
          instance_id: instanceId,
          ...(isHealthy ? {} : { message: `missing: ${missing.join(', ')}` }),
        }
        return new Reply(isHealthy ? 200 : 503, report, 'application/health+json')
      },
    }),

    endpoint({
      ...open,
      path: '/metrics',
      summary: 'What the process counts, for Prometheus',
      handle: async () => new Reply(200, await registry.metrics(), registry.contentType),
    }),
  ]
}
