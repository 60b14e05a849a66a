import { fileURLToPath } from 'node:url'
import { connect } from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import type { Channel, Client } from '../../support/authority.ts'
import { runProgram, startProgram } from '../../support/program.ts'
import type { Program } from '../../support/program.ts'
import {
  addMember,
  collect,
  connectClient,
  eventually,
  topicOf,
  useGateway,
  useWebSocketPort,
} from './support.ts'
import type { Received, TestGateway } from './support.ts'

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})
const webSocketPort = useWebSocketPort(() => gateway)

function site(): { channel: Channel; member: Client; topic: string } {
  const channel = gateway.tables.addChannel()
  return { channel, member: addMember(gateway.tables, channel), topic: topicOf(channel, 'a') }
}

/** Whether a program can be run at all; with arguments, whether it is content with them. */
async function isInstalled(command: string, ...args: string[]): Promise<boolean> {
  try {
    return (await runProgram(command, args.length > 0 ? args : ['--help'])).status === 0 || args.length === 0
  } catch {
    return false
  }
}

async function firstThat<T>(all: readonly T[], holds: (each: T) => Promise<boolean>): Promise<T | undefined> {
  for (const each of all) if (await holds(each)) return each
  return undefined
}

describe.each(['TCP', 'WebSocket'])('MQTT.js over %s', (transport) => {
  describe.each([
    ['3.1', 3],
    ['3.1.1', 4],
    ['5', 5],
  ] as const)('with MQTT %s', (_name, protocolVersion) => {
    const opened: MqttClient[] = []
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((client) => client.endAsync(true)))
    })

    /** With what it receives from its first packet on: what waited for it comes with CONNACK. */
    async function open(
      member: Client,
      options: IClientOptions = {},
    ): Promise<{ client: MqttClient; received: Received[] }> {
      const url =
        transport === 'TCP' ? `mqtt://127.0.0.1:${gateway.port}` : `ws://127.0.0.1:${webSocketPort()}/mqtt`
      const client = connect(url, {
        protocolVersion,
        protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
        username: member.id,
        password: member.secret,
        reconnectPeriod: 0,
        ...options,
      })
      opened.push(client)
      const received = collect(client)
      await new Promise((resolve, reject) => {
        client.once('connect', resolve).once('error', reject)
      })
      return { client, received }
    }

    it('publishes and receives every QoS', async () => {
      const { member, topic } = site()
      const { client, received } = await open(member)
      await client.subscribeAsync(topic, { qos: 2 })
      for (const qos of [0, 1, 2] as const) await client.publishAsync(topic, `qos ${qos}`, { qos })
      await eventually(() => expect(received).toHaveLength(3))
      expect(received.map(({ payload, qos }) => [payload, qos])).toEqual([
        ['qos 0', 0],
        ['qos 1', 1],
        ['qos 2', 2],
      ])
    })

    it('is sent what was retained', async () => {
      const { member, topic } = site()
      const { client: publisher } = await open(member, { clientId: 'publisher' })
      await publisher.publishAsync(topic, 'kept', { qos: 1, retain: true })
      const { client, received } = await open(member, { clientId: 'subscriber' })
      await client.subscribeAsync(topic, { qos: 1 })
      await eventually(() => expect(received).toEqual([{ topic, payload: 'kept', qos: 1, retain: true }]))
    })

    it('hears the will of another that is gone without a word', async () => {
      const { member, topic } = site()
      const { client: listener, received } = await open(member, { clientId: 'listener' })
      await listener.subscribeAsync(topic, { qos: 1 })
      const { client: leaver } = await open(member, {
        clientId: 'leaver',
        will: { topic, payload: Buffer.from('gone'), qos: 1, retain: false },
      })
      leaver.stream.destroy()
      await eventually(() => expect(received.map(({ payload }) => payload)).toEqual(['gone']))
    })

    it('resumes its session and is sent what came meanwhile', async () => {
      const { member, topic } = site()
      const options: IClientOptions = {
        clientId: 'sleeper',
        clean: false,
        ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 60 } } : {}),
      }
      const { client: before } = await open(member, options)
      await before.subscribeAsync(topic, { qos: 2 })
      await before.endAsync()
      const { client: publisher } = await open(member, { clientId: 'publisher' })
      await publisher.publishAsync(topic, 'one', { qos: 1 })
      await publisher.publishAsync(topic, 'two', { qos: 2 })
      const { received } = await open(member, options)
      await eventually(() => expect(received.map(({ payload }) => payload)).toEqual(['one', 'two']))
    })
  })
})

/** Programs of others are tested where they are installed; elsewhere these tests are not there. */
const hasMosquitto = (await isInstalled('mosquitto_pub')) && (await isInstalled('mosquitto_sub'))
const python = await firstThat(['python3', '/usr/bin/python3'], (each) =>
  isInstalled(each, '-c', 'import paho.mqtt.client'),
)

if (hasMosquitto)
  describe.each(['mqttv31', 'mqttv311', 'mqttv5'])('mosquitto_pub and mosquitto_sub with %s', (version) => {
    const login = ({ id, secret }: Client, name: string): string[] =>
      `-h 127.0.0.1 -p ${gateway.port} -V ${version} -u ${id} -P ${secret} -i ${name}`.split(' ')

    const publish = async (member: Client, ...args: string[]): Promise<void> => {
      const { status, stderr } = await runProgram('mosquitto_pub', [...login(member, 'publisher'), ...args])
      expect([status, stderr]).toEqual([0, ''])
    }

    const subscriber = (member: Client, ...args: string[]): Program =>
      startProgram('mosquitto_sub', [...login(member, 'subscriber'), ...args, '-F', '%p, qos %q, retain %r'])

    it.each([0, 1, 2])('publish and receive QoS %i', async (qos) => {
      const { member, topic } = site()
      const program = subscriber(member, '-t', topic, '-q', '2', '-C', '1')
      // It does not say when it is subscribed, and ends with the first message.
      await eventually(async () => {
        await publish(member, '-t', topic, '-m', 'hello', '-q', String(qos))
        expect(program.child.exitCode).toBe(0)
      })
      expect((await program.ended).stdout).toBe(`hello, qos ${qos}, retain 0\n`)
    })

    it('set and receive what is retained', async () => {
      const { member, topic } = site()
      await publish(member, '-t', topic, '-m', 'kept', '-q', '1', '-r')
      const { stdout } = await subscriber(member, '-t', topic, '-q', '1', '-C', '1').ended
      expect(stdout).toBe('kept, qos 1, retain 1\n')
    })

    it('leave a will when they are killed', async () => {
      const { member, topic, channel } = site()
      const open = gateway.metrics.connections('mqtt')
      await eventually(() => expect(open.value).toBe(0))
      const listener = await connectClient(gateway, member, { clientId: 'listener' })
      const received = collect(listener)
      await listener.subscribeAsync(topic, { qos: 1 })
      const will = ['--will-topic', topic, '--will-payload', 'gone', '--will-qos', '1']
      const leaver = subscriber(member, '-t', topicOf(channel, 'other'), ...will)
      await eventually(() => expect(open.value).toBe(2))
      leaver.child.kill('SIGKILL')
      await eventually(() => expect(received.map(({ payload }) => payload)).toEqual(['gone']))
      await listener.endAsync()
    })

    it('resume a session', async () => {
      const { member, topic } = site()
      const session = ['-c', '-t', topic, '-q', '1']
      await subscriber(member, ...session, '-E').ended
      await publish(member, '-t', topic, '-m', 'meanwhile', '-q', '1')
      const { stdout } = await subscriber(member, ...session, '-C', '1').ended
      expect(stdout).toBe('meanwhile, qos 1, retain 0\n')
    })
  })

if (python !== undefined)
  describe.each(['tcp', 'websockets'])('Paho for Python over %s', (transport) => {
    it.each(['3', '4', '5'])('works with protocol level %s', async (version) => {
      const { member, topic } = site()
      const port = transport === 'tcp' ? gateway.port : webSocketPort()
      const script = fileURLToPath(new URL('paho-client.py', import.meta.url))
      const args = [String(port), transport, version, member.id, member.secret, topic]
      const { stdout, stderr } = await runProgram(python, ['-W', 'ignore', script, ...args])
      expect(stderr).toBe('')
      expect(JSON.parse(stdout)).toEqual({
        'every qos': ['zero 0 False', 'one 1 False', 'two 2 False'],
        retained: ['kept 1 True'],
        will: ['gone 1 False'],
        resumed: ['meanwhile 1 False'],
      })
    })
  })
