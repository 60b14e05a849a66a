import { once } from 'node:events'
import { PUBLISH, RawClient } from '../../support/mqtt-packets.ts'
import type { Actor } from './sessions.ts'

export interface Canary {
  /** Messages that came back, in order. */
  readonly delivered: number
  readonly slowestMs: number
  /** What went wrong, if anything did; then it sings no more. */
  readonly failure: string | undefined
  stop(): Promise<void>
}

/** A client that behaves: publishes to itself, one message after the other, and expects each within the time given. */
export async function startCanary(port: number, actor: Actor, patienceMs: number): Promise<Canary> {
  const raw = new RawClient(port, 5)
  await raw.connect(actor, { clientId: 'canary' })
  const topic = `${actor.topic}/canary`
  await raw.subscribe(topic)
  const canary = { delivered: 0, slowestMs: 0, failure: undefined as string | undefined, stop }
  let isStopping = false
  const singing = sing()

  async function sing(): Promise<void> {
    while (!isStopping && canary.failure === undefined) {
      const payload = String(canary.delivered)
      const startedAt = performance.now()
      const timer = setTimeout(() => {
        canary.failure = `canary: message ${payload} did not come within ${patienceMs} ms`
        raw.end()
      }, patienceMs)
      try {
        await raw.publish(topic, { messageId: 1 + (canary.delivered % 60_000), payload })
        const { text, id } = await raw.message()
        raw.send({ cmd: 'puback', messageId: id })
        if (text !== payload) canary.failure = `canary: message ${text} came in place of ${payload}`
      } catch (error) {
        canary.failure ??= `canary: after ${payload} messages: ${String(error)}`
      }
      clearTimeout(timer)
      canary.delivered += 1
      canary.slowestMs = Math.max(canary.slowestMs, performance.now() - startedAt)
    }
  }

  async function stop(): Promise<void> {
    isStopping = true
    await singing
    if (raw.isClosed) return
    raw.send({ ...PUBLISH, topic, qos: 0 }, { cmd: 'disconnect' })
    await once(raw.socket, 'close')
  }

  return canary
}
