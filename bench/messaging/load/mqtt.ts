import { percentile } from '../../support/percentile.ts'
import type { Job, Outcome } from '../job.ts'
import { meter } from './meter.ts'
import { connectMqtt, Ring } from './mqtt-client.ts'
import type { MqttClient } from './mqtt-client.ts'
import { PAYLOAD } from './payload.ts'
import { inParallel } from './socket.ts'

const PAIRS = 10
const FAN_OUT = 500
/** Messages of one publisher on their way, so that no server is made to drop any. */
const WINDOW = 100
const FAN_OUT_WINDOW = 20
const RATE = 2_000
const TICK_MS = 5

let connections = 0
const nextId = () => `bench-${process.pid}-${connections++}`

/** 10 publishers to 10 subscribers, one to one. */
export async function oneToOne(job: Job, qos: 0 | 1): Promise<Outcome> {
  const count = { messages: 0, lost: 0 }
  const clients: MqttClient[] = []
  const { topic, subscriber, publisher, mqttPort = 0 } = job.target
  for (let i = 0; i < PAIRS; i += 1) {
    let [sent, acked, delivered] = [0, 0, 0]
    const ring = new Ring(`${topic}/${i}`, PAYLOAD, qos, WINDOW * 4)
    const pump = (): void => {
      const room = WINDOW - (sent - (qos === 1 ? Math.min(acked, delivered) : delivered))
      if (room <= 0) return
      sent += room
      ring.send(to, room)
    }
    const from = await connectMqtt(mqttPort, nextId(), subscriber, {
      onMessages(arrived) {
        delivered += arrived
        count.messages += arrived
        pump()
      },
    })
    const to: MqttClient = await connectMqtt(mqttPort, nextId(), publisher, {
      onAcks(arrived) {
        acked += arrived
        pump()
      },
    })
    await from.subscribe(`${topic}/${i}`, qos)
    clients.push(from, to)
    watchLosses(
      clients,
      () => delivered,
      () => {
        count.lost += sent - delivered
        delivered = sent
        pump()
      },
    )
    pump()
  }
  const outcome = await meter(job, count)
  for (const client of clients) client.end()
  return outcome
}

/** Whoever sees nothing arrive for a second takes what is under way for lost, and goes on. */
function watchLosses(clients: readonly MqttClient[], progress: () => number, onLost: () => void): void {
  let before = progress()
  const timer = setInterval(() => {
    if (clients[0]?.socket.destroyed) clearInterval(timer)
    else if (progress() === before) onLost()
    before = progress()
  }, 1_000)
}

/** One publisher to 500 subscribers, QoS 0. */
export async function fanOut(job: Job): Promise<Outcome> {
  const { topic, subscriber, publisher, mqttPort = 0 } = job.target
  const count = { messages: 0, lost: 0 }
  let sent = 0
  const ring = new Ring(`${topic}/all`, PAYLOAD, 0, FAN_OUT_WINDOW)
  const pump = (): void => {
    const room = FAN_OUT_WINDOW - (sent - Math.floor((count.messages + count.lost) / FAN_OUT))
    if (room <= 0) return
    sent += room
    ring.send(to, room)
  }
  const to = await connectMqtt(mqttPort, nextId(), publisher)
  const clients = await inParallel(FAN_OUT, 20, async () => {
    const client = await connectMqtt(mqttPort, nextId(), subscriber, {
      onMessages(arrived) {
        count.messages += arrived
        pump()
      },
    })
    await client.subscribe(`${topic}/all`, 0)
    return client
  })
  clients.push(to)
  watchLosses(
    clients,
    () => count.messages,
    () => {
      count.lost = sent * FAN_OUT - count.messages
      pump()
    },
  )
  pump()
  const outcome = await meter(job, count)
  for (const client of clients) client.end()
  return outcome
}

/** From the writing of a PUBLISH of QoS 1 to its arrival, at a steady rate. */
export async function latency(job: Job): Promise<Outcome> {
  const { topic, subscriber, publisher, mqttPort = 0 } = job.target
  const count = { messages: 0, lost: 0 }
  const times: number[] = []
  const senders: (() => void)[] = []
  const clients: MqttClient[] = []
  for (let i = 0; i < PAIRS; i += 1) {
    // What one publisher sends arrives in order, so the oldest is always the next.
    const sentAt: number[] = []
    const ring = new Ring(`${topic}/${i}`, PAYLOAD, 1, WINDOW * 4)
    const from = await connectMqtt(mqttPort, nextId(), subscriber, {
      onMessages(arrived) {
        count.messages += arrived
        const now = performance.now()
        for (const at of sentAt.splice(0, arrived)) times.push(now - at)
      },
    })
    const to = await connectMqtt(mqttPort, nextId(), publisher)
    await from.subscribe(`${topic}/${i}`, 1)
    senders.push(() => {
      sentAt.push(performance.now())
      ring.send(to, 1)
    })
    clients.push(from, to)
  }
  let owed = 0
  let before = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    owed += ((now - before) * RATE) / 1_000
    before = now
    for (; owed >= 1; owed -= 1) {
      const send = senders.shift()
      if (!send) return
      send()
      senders.push(send)
    }
  }, TICK_MS)
  setTimeout(() => (times.length = 0), job.warmUpSeconds * 1_000)
  const outcome = await meter(job, count)
  clearInterval(timer)
  for (const client of clients) client.end()
  return { ...outcome, value: percentile(times, 0.99), p50: percentile(times, 0.5) }
}
