import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFreePort } from '../../gateway/embedded/free-port.ts'
import type { Address } from './job.ts'

export interface Server {
  readonly address: Address
  stop(): Promise<void>
}

/** Flags of a Node program whose memory is measured. */
export const COLLECTING = ['--expose-gc', '--import', new URL('../support/collect.js', import.meta.url).href]

/** As long as ours. */
const TOPIC = 'm/00000000-0000-4000-8000-000000000000/c/00000000-0000-4000-8000-000000000000'
const NOBODY = { username: '', password: '' }
const COMMON = { topic: TOPIC, publisher: NOBODY, subscriber: NOBODY }

type Protocol = 'mqttPort' | 'httpPort' | 'wsPort'

/** One of the programs in `peers/`: it says its port when it listens. */
export async function startNodePeer(name: string, file: string, protocol: Protocol): Promise<Server> {
  const child = fork(new URL(`peers/${file}.js`, import.meta.url), { execArgv: [...COLLECTING] })
  const [port] = (await once(child, 'message')) as [number]
  return serverOf(child, { ...COMMON, name, pid: child.pid ?? 0, collects: true, [protocol]: port })
}

/** @returns `undefined` when it is not installed */
export async function startMosquitto(): Promise<Server | undefined> {
  const port = await findFreePort()
  const config = () => `listener ${port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_inflight_messages 100
max_queued_messages 10000
persistence false
log_type error
`
  return startProgram('Mosquitto', 'mosquitto', config, port)
}

/** @param binary the same that the gateway uses */
export async function startNatsMqtt(binary: string): Promise<Server | undefined> {
  const port = await findFreePort()
  const config = (folder: string) => `server_name: bench
listen: "127.0.0.1:-1"
jetstream { store_dir: ${JSON.stringify(folder)} }
mqtt { listen: "127.0.0.1:${port}", max_ack_pending: 1000 }
`
  return startProgram('nats-server MQTT', binary, config, port)
}

async function startProgram(
  name: string,
  command: string,
  config: (folder: string) => string,
  port: number,
): Promise<Server | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const file = join(folder, 'server.conf')
  await writeFile(file, config(folder))
  // Debian keeps servers out of the path of people.
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/usr/local/sbin` }
  const child = spawn(command, ['-c', file], { stdio: 'ignore', cwd: folder, env })
  const remove = () => rm(folder, { recursive: true, force: true })
  const failed = once(child, 'error').then(() => true)
  const isUp = await Promise.race([failed.then(() => false), waitForPort(port, child)])
  if (!isUp) {
    await remove()
    return undefined
  }
  const server = serverOf(child, { ...COMMON, name, pid: child.pid ?? 0, collects: false, mqttPort: port })
  return { ...server, stop: () => server.stop().then(remove) }
}

function serverOf(child: ChildProcess, address: Address): Server {
  return {
    address,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function waitForPort(port: number, child: ChildProcess): Promise<boolean> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries += 1) {
    const socket = connect({ port, host: '127.0.0.1' })
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return true
    await sleep(25)
  }
  return false
}
