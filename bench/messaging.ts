import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSluice } from './messaging/gateway.ts'
import type { Address, Job, Outcome } from './messaging/job.ts'
import { startMosquitto, startNatsMqtt, startNodePeer } from './messaging/peers.ts'
import type { Server } from './messaging/peers.ts'
import {
  AEDES,
  boundFor,
  canRun,
  HTTP,
  MOSQUITTO,
  NATS,
  ROWS,
  SLUICE,
  SLUICE_ALL,
  WS,
} from './messaging/rows.ts'
import type { RowPlan } from './messaging/rows.ts'
import { prepareNatsServer } from './support/ground.ts'
import { percentile } from './support/percentile.ts'
import { cpuUs } from './support/process.ts'
import { save, table } from './support/report.ts'
import type { Row } from './support/report.ts'

/*
 * Messages through the gateway beside the same through its peers, all in one run and in turns, so that what else the
 * machine does reaches all of them. Load comes from a process of its own. Each value is the median of the rounds.
 *
 *   npm run bench -- messaging --row qos0,http    some of the rows
 *   npm run bench -- messaging --seconds 5        time a round
 *   npm run bench -- messaging --only Sluice      servers whose names contain one of these
 *   npm run bench -- messaging --profile folder   with CPU profiles of the gateways
 */
const { values } = parseArgs({
  options: {
    row: { type: 'string' },
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    profile: { type: 'string' },
  },
})
const plans = ROWS.filter(({ row }) => values.row === undefined || values.row.split(',').includes(row))
const isWanted = (name: string) => values.only.split(',').some((part) => name.includes(part))

const starts: Record<string, () => Promise<Server | undefined>> = {
  [SLUICE]: () => startSluice(SLUICE, { roles: 'api,http,mqtt,ws', profile: values.profile }),
  [SLUICE_ALL]: () => startSluice(SLUICE_ALL, { profile: values.profile }),
  [AEDES]: () => startNodePeer(AEDES, 'aedes', 'mqttPort'),
  [MOSQUITTO]: startMosquitto,
  [NATS]: async () => startNatsMqtt(await prepareNatsServer()),
  [HTTP]: () => startNodePeer(HTTP, 'http', 'httpPort'),
  [WS]: () => startNodePeer(WS, 'ws', 'wsPort'),
}

const load = fork(new URL('messaging/load/main.js', import.meta.url))
const loadFailed = once(load, 'exit').then(() => Promise.reject(new Error('the load process has ended')))
loadFailed.catch(() => undefined)
const servers: Server[] = []
try {
  for (const [name, start] of Object.entries(starts)) {
    if (!isWanted(name)) continue
    const server = await start()
    if (server) servers.push(server)
    else console.log(`${name}: not installed`)
  }
  const rows: Row[] = []
  for (const plan of plans) {
    const found = await measureRow(plan)
    console.log(`${table(found)}\n`)
    rows.push(...found)
  }
  save('messaging', rows)
} finally {
  load.kill()
  for (const server of servers.reverse()) await server.stop()
}

async function measureRow(plan: RowPlan): Promise<Row[]> {
  const addresses = servers.map(({ address }) => address).filter((address) => canRun(address, plan))
  const outcomes = new Map<string, Outcome[]>(addresses.map(({ name }) => [name, []]))
  const rounds = plan.isOnce ? 1 : Number(values.rounds)
  for (let round = 0; round < rounds; round += 1) {
    for (const target of addresses) {
      await untilQuiet()
      const warmUpSeconds = round === 0 ? 1.5 : 0.5
      outcomes
        .get(target.name)
        ?.push(await run({ row: plan.row, target, seconds: Number(values.seconds), warmUpSeconds }))
    }
  }
  const medians = new Map([...outcomes].map(([name, found]) => [name, median(found)]))
  return addresses.map((address) => toRow(plan, address, medians))
}

async function run(job: Job): Promise<Outcome> {
  const answer = once(load, 'message')
  load.send(job)
  const [outcome] = (await Promise.race([answer, loadFailed])) as [Outcome]
  return outcome
}

/** What one row left behind, messages to store above all, is not to be paid by the next. */
async function untilQuiet(): Promise<void> {
  const used = () => servers.reduce((sum, { address }) => sum + cpuUs(address.pid), 0)
  for (let tries = 0, before = used(); tries < 40; tries += 1) {
    await sleep(250)
    const now = used()
    // A tenth of a core; without /proc nothing is known, and once is enough.
    if (!(now - before > 25_000)) return
    before = now
  }
}

function median(outcomes: readonly Outcome[]): Outcome {
  const middle = (of: (outcome: Outcome) => number | undefined) =>
    percentile(
      outcomes.map((outcome) => of(outcome) ?? Number.NaN),
      0.5,
    )
  const p50 = middle((outcome) => outcome.p50)
  return {
    value: middle((outcome) => outcome.value),
    cpuUs: middle((outcome) => outcome.cpuUs),
    lost: outcomes.reduce((sum, { lost }) => sum + lost, 0),
    ...(Number.isNaN(p50) ? {} : { p50 }),
  }
}

function toRow(plan: RowPlan, { name }: Address, medians: ReadonlyMap<string, Outcome>): Row {
  const outcome = medians.get(name)
  if (!outcome) throw new Error(`${name} was not measured`)
  const isOurs = name === SLUICE || name === SLUICE_ALL
  const verdicts = (isOurs ? plan.bars : []).map((bar) => {
    const beside = bar.beside === undefined ? 1 : medians.get(bar.beside)?.value
    if (beside === undefined) return `${bar.beside} not measured`
    const bound = boundFor(name, plan, bar)
    const found = outcome.value / beside
    const isMet = plan.isCost ? found <= bound : found >= bound
    const of = bar.beside === undefined ? '' : ` × ${bar.beside}`
    return `${found.toFixed(2)}${of} (bar ${bound}) ${isMet ? 'pass' : 'MISS'}`
  })
  return {
    what: plan.what,
    server: name,
    value: outcome.value,
    unit: outcome.p50 === undefined ? plan.unit : `${plan.unit}, p50 ${outcome.p50.toFixed(2)}`,
    'CPU µs': Number.isNaN(outcome.cpuUs) ? '' : outcome.cpuUs,
    lost: outcome.lost,
    bars: verdicts.join(', '),
  }
}
