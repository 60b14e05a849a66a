import { randomUUID } from 'node:crypto'
import { connect } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { createApi } from './api.ts'
import type { Api } from './api.ts'
import type { Cluster, Node } from './cluster.ts'
import { publishOverSocket, subscribeOverSocket } from './cluster-sockets.ts'
import type { SocketSubscriber } from './cluster-sockets.ts'
import { eventually } from './eventually.ts'

/** One number, sent once: `<publisher>:<value>`. */
type Item = string

export interface LoadSize {
  readonly channels: number
  /** Of each channel. */
  readonly publishers: number
  readonly subscribers: number
  /** Of each channel, publishers over WebSocket and as many subscribers. */
  readonly sockets: number
  /** Between two messages of one publisher. */
  readonly pauseMs: number
}

interface Subscriber {
  readonly qos: 1 | 2
  readonly channel: number
  readonly client: MqttClient
  /** How often each item has come. */
  readonly received: Map<Item, number>
}

/** What was promised: to every persistent session of the channel and to the database, by QoS 0 to the database alone. */
interface Acknowledged {
  readonly item: Item
  readonly channel: number
  readonly qos: 0 | 1 | 2
}

/**
 * Publishers and subscribers all over the processes, each coming back to another one when its connection is lost. What
 * is acknowledged is noted.
 */
export async function startClusterLoad({ nodes }: Cluster, size: LoadSize) {
  const first = nodes[0] as Node
  const api: Api = createApi(first.url)
  const person = await api.given.person()
  const domain = await api.given.domain(person.token)
  const member = await api.given.client(person.token, domain.id)
  const auth = `Client ${member.credentials.secret}`
  const channels: string[] = []
  for (let index = 0; index < size.channels; index += 1) {
    const { id } = await api.given.channel(person.token, domain.id)
    await api.given.connection(person.token, domain.id, id, member.id)
    channels.push(id)
  }
  const topicOf = (channel: number): string => `m/${domain.id}/c/${channels[channel]}`
  const acknowledged: Acknowledged[] = []
  let isOver = false
  let turn = 0

  function open(protocolVersion: 4 | 5): Promise<MqttClient> {
    turn += 1
    const servers = nodes.map(({ mqttPort: port }) => ({ host: '127.0.0.1', port }))
    const client = connect({
      servers: [...servers.slice(turn % 3), ...servers.slice(0, turn % 3)],
      protocol: 'mqtt',
      protocolVersion,
      clientId: randomUUID(),
      clean: false,
      username: member.id,
      password: member.credentials.secret,
      reconnectPeriod: 100,
      // Refused for now, since whom the process has to ask is being killed.
      reconnectOnConnackError: true,
      connectTimeout: 5_000,
      resubscribe: false,
      ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 600 } } : {}),
    })
    client.on('error', () => undefined)
    return new Promise((resolve) => client.once('connect', () => resolve(client)))
  }

  async function subscriber(channel: number, index: number): Promise<Subscriber> {
    const qos = index % 2 === 0 ? 1 : 2
    const client = await open(index % 4 < 2 ? 4 : 5)
    const received = new Map<Item, number>()
    client.on('message', (_topic, payload) => {
      const [{ n, v }] = JSON.parse(payload.toString()) as [{ n: string; v: number }]
      const item = `${n}:${v}`
      received.set(item, (received.get(item) ?? 0) + 1)
    })
    await client.subscribeAsync(`${topicOf(channel)}/#`, { qos })
    return { qos, channel, client, received }
  }

  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, size.pauseMs))

  const nameOverMqtt = (channel: number, qos: 1 | 2, index: number): string =>
    `mqtt${qos}-${channel}-${index}`
  const isOfQos1 = (name: string): boolean => name.startsWith('mqtt1-')

  async function publishOverMqtt(channel: number, index: number): Promise<void> {
    const qos = index % 2 === 0 ? 1 : 2
    const client = await open(index % 4 < 2 ? 5 : 4)
    const name = nameOverMqtt(channel, qos, index)
    for (let value = 0; !isOver; value += 1) {
      const payload = JSON.stringify([{ n: name, v: value }])
      const isTaken = await client.publishAsync(`${topicOf(channel)}/${index}`, payload, { qos }).then(
        () => true,
        // Refused for now, because whom the process has to ask is being killed: nothing was promised.
        () => false,
      )
      if (isTaken) acknowledged.push({ item: `${name}:${value}`, channel, qos })
      await pause()
    }
    await client.endAsync()
  }

  async function publishOverHttp(channel: number): Promise<void> {
    const name = `http${channel}`
    for (let value = 0; !isOver; value += 1) {
      const { url } = nodes[value % nodes.length] as Node
      const status = await createApi(url)
        .call('POST', `/${topicOf(channel)}/http`, { auth, body: [{ n: name, v: value }] })
        .then(
          (answer) => answer.status,
          () => 0,
        )
      if (status === 202) acknowledged.push({ item: `${name}:${value}`, channel, qos: 1 })
      await pause()
    }
  }

  const sockets = {
    urls: nodes.map(({ url }) => url),
    auth,
    isOver: () => isOver,
    pause,
  }

  function publishOverWebSocket(channel: number, index: number): Promise<void> {
    const name = `ws${channel}-${index}`
    return publishOverSocket(sockets, `/${topicOf(channel)}/${name}`, name, (item) =>
      acknowledged.push({ item, channel, qos: 0 }),
    )
  }

  const subscribers: Subscriber[] = []
  const listeners: SocketSubscriber[] = []
  for (let channel = 0; channel < size.channels; channel += 1) {
    for (let index = 0; index < size.subscribers; index += 1)
      subscribers.push(await subscriber(channel, index))
    for (let index = 0; index < size.sockets; index += 1)
      listeners.push(subscribeOverSocket(sockets, `/${topicOf(channel)}/%23`, isOfQos1))
  }
  const publishing: Promise<void>[] = []
  for (let channel = 0; channel < size.channels; channel += 1) {
    for (let index = 0; index < size.publishers; index += 1) publishing.push(publishOverMqtt(channel, index))
    for (let index = 0; index < size.sockets; index += 1)
      publishing.push(publishOverWebSocket(channel, index))
    publishing.push(publishOverHttp(channel))
  }

  return {
    acknowledged,
    /** Waits until so many more are acknowledged: the load is under way again. */
    async more(count: number) {
      const from = acknowledged.length
      await eventually('messages are acknowledged', () => acknowledged.length >= from + count, 120_000)
    },
    /** Ends the publishers, and waits for what they sent last to be acknowledged. */
    async stop() {
      isOver = true
      await Promise.all(publishing)
    },
    /**
     * What was acknowledged and has not come to a session, what came twice and must not, and what came out of order or twice
     * over one WebSocket.
     */
    async findFaults() {
      const missing = (): string[] =>
        subscribers.flatMap(({ channel, received }, index) =>
          acknowledged
            .filter((each) => each.qos > 0 && each.channel === channel && !received.has(each.item))
            .map(({ item }) => `${index} ${item}`),
        )
      await eventually('everything is delivered', () => missing().length === 0, 60_000).catch(() => undefined)
      const exactly = new Set(acknowledged.filter(({ qos }) => qos === 2).map(({ item }) => item))
      const twice = subscribers
        .filter(({ qos }) => qos === 2)
        .flatMap(({ received }, index) =>
          [...received]
            .filter(([item, count]) => count > 1 && exactly.has(item))
            .map(([item]) => `${index} ${item}`),
        )
      await eventually('every WebSocket has heard something', () => listeners.every(({ count }) => count > 0))
      const disorder = listeners.flatMap((listener) => listener.disorder)
      return { missing: missing(), twice, disorder }
    },
    async end() {
      for (const listener of listeners) listener.stop()
      await Promise.all(subscribers.map(({ client }) => client.endAsync(true)))
    },
  }
}

/** What is acknowledged and not stored once the writer has caught up, and what of QoS 2 is stored twice. */
export async function findStorageFaults(
  { ground }: Cluster,
  acknowledged: readonly Acknowledged[],
): Promise<{ missing: Item[]; twice: Item[] }> {
  let counts = new Map<Item, number>()
  await eventually(
    'all that was acknowledged is stored',
    async () => {
      const { rows } = await ground.query(
        "select n.name || ':' || s.value::text as item, count(*)::int as count from samples s join series n on n.id = s.series_id group by 1",
      )
      counts = new Map(rows.map(({ item, count }) => [item as Item, count as number]))
      return acknowledged.every(({ item }) => counts.has(item))
    },
    60_000,
  ).catch(() => undefined)
  return {
    missing: acknowledged.filter(({ item }) => !counts.has(item)).map(({ item }) => item),
    twice: acknowledged
      .filter(({ item, qos }) => qos === 2 && (counts.get(item) ?? 0) > 1)
      .map(({ item }) => item),
  }
}
