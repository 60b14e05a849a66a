import { setTimeout as sleep } from 'node:timers/promises'
import { residentBytes } from '../../support/process.ts'
import type { Job, Outcome } from '../job.ts'
import { meter } from './meter.ts'
import { connectMqtt } from './mqtt-client.ts'
import { inParallel } from './socket.ts'

const AT_ONCE = 50
const IDLE = 10_000
const SETTLE_MS = 1_500

let connections = 0
const nextId = () => `bench-${process.pid}-c${connections++}`

/** Connections made, accepted and ended again. */
export async function connects(job: Job): Promise<Outcome> {
  const { publisher, mqttPort = 0 } = job.target
  const count = { messages: 0, lost: 0 }
  let isOver = false
  const working = inParallel(AT_ONCE, AT_ONCE, async () => {
    while (!isOver) {
      const client = await connectMqtt(mqttPort, nextId(), publisher)
      count.messages += 1
      client.end()
    }
  })
  const outcome = await meter(job, count)
  isOver = true
  await working
  return outcome
}

/** Memory of 10,000 connections that do nothing. */
export async function idle({ target }: Job): Promise<Outcome> {
  const before = await held(target)
  const clients = await inParallel(IDLE, AT_ONCE, () =>
    connectMqtt(target.mqttPort ?? 0, nextId(), target.publisher),
  )
  const after = await held(target)
  for (const client of clients) client.end()
  return { value: (after - before) / IDLE, cpuUs: Number.NaN, lost: 0 }
}

async function held({ pid, collects }: Job['target']): Promise<number> {
  await sleep(SETTLE_MS)
  // Twice: what is only freed by the first, buffers above all, is given back by the second.
  for (let round = 0; collects && round < 2; round += 1) {
    process.kill(pid, 'SIGUSR2')
    await sleep(SETTLE_MS)
  }
  return residentBytes(pid)
}
