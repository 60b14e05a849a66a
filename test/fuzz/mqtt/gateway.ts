import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApi } from '../../support/api.ts'
import { eventually } from '../../support/eventually.ts'
import { startProgram } from '../../support/program.ts'
import { INSPECTABLE, inspectorUrl, isOfTheInspector, measureHeld } from './memory.ts'
import type { Held } from './memory.ts'
import type { Target } from './play.ts'
import type { Actor } from './sessions.ts'

export interface FuzzedGateway extends Target {
  /** Those who play, on one channel, and last one on a channel of its own. */
  readonly actors: readonly Actor[]
  /** What the process holds now. */
  held(): Promise<Held>
  /** MQTT connections that are open now. */
  connections(): Promise<number>
  /** What it said that it should not have to say: errors, and its end. */
  complaints(): string[]
  stop(): Promise<void>
}

/** Seconds that a connection has to say CONNECT. Short, since much of what is sent never becomes one. */
export const CONNECT_TIMEOUT_S = 2

const ACTORS = 5

/** The whole gateway as `npm start` runs it, in a process of its own, with a Postgres and a NATS of its own. */
export async function startFuzzedGateway(settings: Record<string, string> = {}): Promise<FuzzedGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-fuzz-'))
  const gateway = startProgram(process.execPath, [INSPECTABLE, 'bin/start.mjs'], {
    cwd: process.cwd(),
    env: {
      SLUICE_DATA_DIR: join(folder, 'data'),
      SLUICE_HTTP_PORT: '0',
      SLUICE_MQTT_PORT: '0',
      SLUICE_CONNECT_TIMEOUT_S: String(CONNECT_TIMEOUT_S),
      // Sessions that are kept, each with its queue, are no leak: here they end soon.
      SLUICE_SESSION_EXPIRY_S: '2',
      SLUICE_LOG_LEVEL: 'error',
      ...settings,
    },
  })
  const isUp = () => gateway.output.stdout.includes('Try it:') || gateway.child.exitCode !== null
  await eventually('the gateway is up', isUp, 180_000)
  if (gateway.child.exitCode !== null) throw new Error(`the gateway did not start: ${gateway.output.stderr}`)
  const inspector = inspectorUrl(gateway.output.stderr)
  const saidBefore = gateway.output.stderr.length
  const httpUrl = /http:\/\/[^\s/]+/.exec(gateway.output.stdout)?.[0] ?? ''
  const mqttPort = Number(/mqtt:\/\/[^\s:]+:(\d+)/.exec(gateway.output.stdout)?.[1])

  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${httpUrl}/metrics`)).text()
    const line = text.split('\n').find((each) => each.startsWith(name)) ?? ''
    return Number(line.split(' ').at(-1) ?? 0)
  }

  return {
    mqttPort,
    webSocketUrl: `${httpUrl.replace('http', 'ws')}/mqtt`,
    actors: await makeActors(httpUrl),
    held: () => measureHeld(inspector),
    connections: () => metric('sluice_connections{protocol="mqtt"}'),
    complaints() {
      const { child, output } = gateway
      const ended = child.exitCode ?? child.signalCode
      return [
        ...(ended === null ? [] : [`the gateway ended: ${ended}`]),
        ...output.stderr
          .slice(saidBefore)
          .split('\n')
          .filter((line) => line !== '' && !isOfTheInspector(line)),
      ]
    },
    async stop() {
      gateway.child.kill('SIGTERM')
      await gateway.ended
      await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}

async function makeActors(httpUrl: string): Promise<Actor[]> {
  const api = createApi(httpUrl)
  const { token } = await api.given.person()
  const domain = await api.given.domain(token)
  const [shared, own] = [await api.given.channel(token, domain.id), await api.given.channel(token, domain.id)]
  const actors: Actor[] = []
  for (let index = 0; index < ACTORS; index += 1) {
    const channel = index === ACTORS - 1 ? own : shared
    const client = await api.given.client(token, domain.id)
    await api.given.connection(token, domain.id, channel.id, client.id)
    actors.push({
      id: client.id as string,
      secret: client.credentials.secret as string,
      topic: `m/${domain.id}/c/${channel.id}`,
    })
  }
  return actors
}
