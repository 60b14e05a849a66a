import { eventually } from '../../support/eventually.ts'
import type { Version } from '../../support/mqtt-packets.ts'
import { startCanary } from './canary.ts'
import { CONNECT_TIMEOUT_S, startFuzzedGateway } from './gateway.ts'
import type { FuzzedGateway } from './gateway.ts'
import type { Held } from './memory.ts'
import { mutate } from './mutate.ts'
import { play } from './play.ts'
import type { Manner, Transport } from './play.ts'
import { createRandom, pick } from './random.ts'
import { recordSession } from './sessions.ts'
import type { Actor } from './sessions.ts'

export interface FuzzOptions {
  readonly seed: number
  readonly seconds: number
  /** Plays this session alone, once. */
  readonly only?: number | undefined
  /** On top of the gateway's own. */
  readonly settings?: Record<string, string>
}

/** What became of the sessions of one transport and version. */
export interface FuzzRow {
  sessions: number
  accepted: number
  receivedBytes: number
}

export interface FuzzReport {
  readonly seed: number
  readonly sessions: number
  readonly rows: ReadonlyMap<string, FuzzRow>
  readonly mutations: ReadonlyMap<string, number>
  readonly canary: { readonly delivered: number; readonly slowestMs: number }
  /** Since the process was warm. */
  readonly grownMib: { readonly live: number; readonly resident: number }
  /** Empty when all is well. */
  readonly failures: readonly string[]
}

const CONCURRENT = 24
/** Time for an answer or an end on a machine that has other things to do. */
const PATIENCE_MS = 15_000
/** Above what the process held when warm: code that is compiled late and tables that find their size, but no leak. */
const MAX_GROWTH_MIB = { live: 12, resident: 48 }
const MIB = 1_048_576

/** One damaged session: the same for the same seed and number, whatever else runs. */
function prepare(seed: number, number: number, actors: readonly Actor[]) {
  const random = createRandom(seed + Math.imul(number, 0x9e3779b1))
  const version = pick<Version>(random, [3, 4, 5, 5])
  const transport = pick<Transport>(random, ['tcp', 'tcp', 'ws'])
  // A WebSocket that is closed at once never gets as far as CONNACK, while TCP knows half of an end.
  const usual = transport === 'tcp' ? 'finish' : 'linger'
  const manner = pick<Manner>(random, [usual, usual, 'finish', 'linger', 'vanish'])
  const actor = pick(random, actors)
  const name = `fuzz${random(4)}`
  const other = recordSession(version === 5 ? 4 : 5, actor, name, random)
  const { packets, mutations } = mutate(recordSession(version, actor, name, random), other, random)
  return { random, version, transport, manner, bytes: Buffer.concat(packets), mutations }
}

/** Plays damaged sessions against a gateway in a process of its own, and looks whether anybody but they are hurt. */
export async function fuzzMqtt({ seed, seconds, only, settings }: FuzzOptions): Promise<FuzzReport> {
  const gateway = await startFuzzedGateway(settings)
  try {
    return await run(gateway, { seed, seconds, only })
  } finally {
    await gateway.stop()
  }
}

async function run(gateway: FuzzedGateway, { seed, seconds, only }: FuzzOptions): Promise<FuzzReport> {
  const failures: string[] = []
  const rows = new Map<string, FuzzRow>()
  const mutations = new Map<string, number>()
  const players = gateway.actors.slice(0, -1)
  const canary = await startCanary(gateway.mqttPort, gateway.actors.at(-1) as Actor, PATIENCE_MS)
  const underWay = new Set<number>()
  let suspects: readonly number[] = []
  let next = only ?? 0
  const isOver = (): boolean =>
    failures.length > 0 || canary.failure !== undefined || gateway.complaints().length > 0

  async function playNext(): Promise<void> {
    const number = next
    next += 1
    const session = prepare(seed, number, players)
    const { transport, version, manner, bytes, random } = session
    const limits = { strangerMs: CONNECT_TIMEOUT_S * 1_000, patienceMs: PATIENCE_MS }
    underWay.add(number)
    const played = await play(transport, gateway, bytes, manner, random, limits)
    if (suspects.length === 0 && gateway.complaints().length > 0) suspects = [...underWay]
    underWay.delete(number)
    const row = rowOf(rows, `${transport}, ${version === 3 ? '3.1' : version === 4 ? '3.1.1' : '5'}`)
    row.sessions += 1
    row.accepted += played.isAccepted ? 1 : 0
    row.receivedBytes += played.receivedBytes
    for (const name of session.mutations) mutations.set(name, (mutations.get(name) ?? 0) + 1)
    if (played.isHung) {
      const what = `${transport}, level ${version}, ${manner}; ${session.mutations.join(', ')}`
      failures.push(`session ${number} (${what}) was neither answered nor closed: ${bytes.toString('hex')}`)
    }
  }

  async function playUntil(endsAt: number): Promise<void> {
    while (Date.now() < endsAt && !isOver()) await playNext()
  }

  const start = Date.now()
  let warm: Held | undefined
  if (only === undefined) {
    // What a process takes before it has done a little of everything says nothing.
    await inParallel(() => playUntil(start + seconds * 250))
    warm = await gateway.held()
    await inParallel(() => playUntil(start + seconds * 1_000))
  } else await playNext()

  failures.push(...(await lookAfterwards(gateway)))
  const grownMib = { live: 0, resident: 0 }
  // One that has ended cannot be asked, and has complained.
  if (warm !== undefined && gateway.complaints().length === 0) {
    const held = await gateway.held()
    for (const kind of ['live', 'resident'] as const) {
      grownMib[kind] = (held[kind] - warm[kind]) / MIB
      if (grownMib[kind] > MAX_GROWTH_MIB[kind])
        failures.push(`${kind} memory grew by ${grownMib[kind].toFixed(0)} MiB`)
    }
  }
  await canary.stop()
  if (canary.failure !== undefined) failures.push(canary.failure)
  failures.push(...gateway.complaints().slice(0, 10))
  if (suspects.length > 0) failures.push(`under way at the first complaint: sessions ${suspects.join(', ')}`)
  const { delivered, slowestMs } = canary
  return {
    seed,
    sessions: next - (only ?? 0),
    rows,
    mutations,
    canary: { delivered, slowestMs },
    grownMib,
    failures,
  }
}

function inParallel(work: () => Promise<void>): Promise<unknown> {
  return Promise.all(Array.from({ length: CONCURRENT }, work))
}

function rowOf(rows: Map<string, FuzzRow>, name: string): FuzzRow {
  const row = rows.get(name) ?? { sessions: 0, accepted: 0, receivedBytes: 0 }
  rows.set(name, row)
  return row
}

/** Of the connections none is left but the canary's. */
async function lookAfterwards(gateway: FuzzedGateway): Promise<string[]> {
  try {
    await eventually('only the canary is left', async () => (await gateway.connections()) === 1, PATIENCE_MS)
    return []
  } catch (error) {
    return [`connections are left behind: ${String(error)}`]
  }
}
