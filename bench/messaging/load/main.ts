import type { Job, Outcome, RowName } from '../job.ts'
import { connects, idle } from './connects.ts'
import { publishOverHttp } from './http.ts'
import { fanOut, latency, oneToOne } from './mqtt.ts'
import { fanOutOverWs } from './ws.ts'

/*
 * The process that makes load, with raw sockets: a client library would be slower than what is measured. One job after
 * the other, each told by a message and answered with one.
 */

const ROWS: Record<RowName, (job: Job) => Promise<Outcome>> = {
  qos0: (job) => oneToOne(job, 0),
  qos1: (job) => oneToOne(job, 1),
  fanout: fanOut,
  http: publishOverHttp,
  ws: fanOutOverWs,
  connects,
  idle,
  latency,
}

process.on('message', (job: Job) => {
  ROWS[job.row](job).then(
    (outcome) => process.send?.(outcome),
    (error: unknown) => {
      throw error
    },
  )
})
