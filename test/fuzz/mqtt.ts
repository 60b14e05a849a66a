import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { fuzzMqtt } from './mqtt/run.ts'
import type { FuzzReport } from './mqtt/run.ts'

/*
 * Sessions of MQTT 3.1, 3.1.1 and 5, recorded and then damaged at random, over TCP and WebSocket, against a gateway in a
 * process of its own: it must neither end nor complain, answer or close every connection, go on delivering to others, and
 * keep its memory.
 *
 *   npm run fuzz -- mqtt --seconds 120
 *   npm run fuzz -- mqtt --seed 1234                  the same sessions again, in the same order
 *   npm run fuzz -- mqtt --seed 1234 --session 567    that one alone
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    session: { type: 'string' },
  },
})
console.log(`seed ${values.seed}`)
const report = await fuzzMqtt({
  seed: Number(values.seed),
  seconds: Number(values.seconds),
  only: values.session === undefined ? undefined : Number(values.session),
})
print(report)
process.exitCode = report.failures.length === 0 ? 0 : 1

function print({ rows, mutations, sessions, canary, grownMib, failures }: FuzzReport): void {
  const line = (name: string, ...cells: (string | number)[]): void =>
    console.log(name.padEnd(32) + cells.map((cell) => cell.toLocaleString('en-US').padStart(12)).join(''))
  line('transport, version', 'sessions', 'accepted', 'KiB back')
  for (const [name, row] of byName(rows))
    line(name, row.sessions, row.accepted, Math.round(row.receivedBytes / 1_024))
  line('all', sessions)
  console.log('')
  line('mutation', 'times')
  for (const [name, times] of byName(mutations)) line(name, times)
  console.log('')
  line('canary: delivered', canary.delivered)
  line('canary: slowest, ms', Math.round(canary.slowestMs))
  line('live memory: grown by, MiB', grownMib.live.toFixed(1))
  line('resident: grown by, MiB', grownMib.resident.toFixed(1))
  for (const failure of failures) console.log(`FAILED: ${failure}`)
  if (failures.length === 0) console.log('nothing failed')
}

function byName<T>(entries: ReadonlyMap<string, T>): [string, T][] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
}
