import { z } from 'zod'
import type { Bus } from '../platform/bus/connect.ts'
import { createCaller, serve } from '../platform/bus/rpc.ts'
import type { TrafficSink } from './traffic.ts'

const NAME = 'traffic'
const count = z.int().min(0)

const Report = z.object({
  node: z.uuid(),
  number: z.int().min(1),
  clients: z.array(z.object({ clientId: z.uuid(), delivered: count, subscriptions: count })),
})

const handlersOf = (sink: TrafficSink) => ({
  report: async (input: z.input<typeof Report>) => sink.report(Report.parse(input)),
})

/** Takes the reports of adapters in other processes. Any number of processes may. */
export function serveTraffic(bus: Bus, sink: TrafficSink): ReturnType<typeof serve> {
  return serve(bus, NAME, handlersOf(sink))
}

/** The sink, for a process without a database. */
export function createRemoteSink(bus: Bus): TrafficSink {
  return createCaller<ReturnType<typeof handlersOf>>(bus, NAME, ['report'])
}
