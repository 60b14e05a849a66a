import { setTimeout as sleep } from 'node:timers/promises'
import { startGround } from '../support/ground.ts'
import { ADMIN, startGatewayProcess } from '../support/gateway.ts'
import type { Address } from './job.ts'
import { COLLECTING } from './peers.ts'
import type { Server } from './peers.ts'

/**
 * A gateway with a Postgres and a NATS of its own, and in it a domain with one channel, a client that may publish and one
 * that may subscribe.
 *
 * @param options.profile folder for a CPU profile, written when the gateway stops
 */
export async function startSluice(
  name: string,
  { roles, profile }: { roles?: string; profile: string | undefined },
): Promise<Server> {
  const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  const ground = await startGround()
  const stops = [() => ground.stop()]
  async function stop(): Promise<void> {
    for (const each of stops.splice(0).reverse()) await each()
  }
  try {
    const gateway = await startGatewayProcess(
      {
        SLUICE_DATA_DIR: ground.dataDir,
        SLUICE_DATABASE_URL: ground.databaseUrl,
        SLUICE_NATS_URL: ground.natsUrl,
        // One client is all of the load.
        SLUICE_MAX_CLIENT_CONNECTIONS: '1000000',
        ...(roles === undefined ? {} : { SLUICE_ROLES: roles }),
      },
      [...COLLECTING, ...profiling],
    )
    stops.push(() => gateway.stop())
    const furniture = await furnish(gateway.url)
    return { address: { ...furniture, ...portsOf(gateway), name, pid: gateway.pid, collects: true }, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function portsOf({ port, mqttPort }: { port: number; mqttPort: number }) {
  return { httpPort: port, wsPort: port, mqttPort }
}

async function furnish(url: string): Promise<Pick<Address, 'topic' | 'publisher' | 'subscriber'>> {
  let token: string | undefined
  async function post<T>(path: string, body: object): Promise<T> {
    const headers = new Headers({ 'content-type': 'application/json' })
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    const response = await fetch(url + path, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }
  token = await signIn(post)
  const domain = await post<{ id: string }>('/domains', { name: 'Bench', route: 'bench' })
  const channel = await post<{ id: string }>(`/${domain.id}/channels`, { name: 'Channel' })
  async function client(type: 'publish' | 'subscribe') {
    const made = await post<{ id: string; credentials: { secret: string } }>(`/${domain.id}/clients`, {
      name: type,
    })
    const body = { channel_ids: [channel.id], client_ids: [made.id], types: [type] }
    await post(`/${domain.id}/channels/connect`, body)
    return { username: made.id, password: made.credentials.secret }
  }
  return {
    topic: `m/${domain.id}/c/${channel.id}`,
    publisher: await client('publish'),
    subscriber: await client('subscribe'),
  }
}

/** The first super-admin is made last of all, after the gateway says that it is ready. */
async function signIn(post: <T>(path: string, body: object) => Promise<T>): Promise<string> {
  const { username, password } = ADMIN
  for (let tries = 1; ; tries += 1) {
    try {
      return (await post<{ access_token: string }>('/users/tokens/issue', { username, password }))
        .access_token
    } catch (error) {
      if (tries === 10) throw error
      await sleep(100)
    }
  }
}
