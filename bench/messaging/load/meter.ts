import { setTimeout as sleep } from 'node:timers/promises'
import { cpuUs } from '../../support/process.ts'
import type { Job, Outcome } from '../job.ts'

/** What a row counts while it runs. */
export interface Count {
  messages: number
  lost: number
}

/** Lets a running load warm up, then counts. */
export async function meter({ target, seconds, warmUpSeconds }: Job, count: Count): Promise<Outcome> {
  await sleep(warmUpSeconds * 1_000)
  const [cpu, messages, lost, began] = [cpuUs(target.pid), count.messages, count.lost, performance.now()]
  await sleep(seconds * 1_000)
  const counted = count.messages - messages
  return {
    value: (counted / (performance.now() - began)) * 1_000,
    cpuUs: (cpuUs(target.pid) - cpu) / counted,
    lost: count.lost - lost,
  }
}
