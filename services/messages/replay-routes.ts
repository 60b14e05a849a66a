import { z } from 'zod'
import type { Bus } from '../../platform/bus/connect.ts'
import { InvalidInput } from '../../platform/errors.ts'
import { Reply, endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import type { Admission } from './access.ts'
import { ChannelParams, channelPaths, readReader, readReaderAgain } from './caller.ts'
import { STALL_MS } from './guard.ts'
import { toSeconds } from './query.ts'
import { publishReplay, replayLines } from './replay-answer.ts'
import type { ReplayWish, Replays } from './replay.ts'

const MIB = 1_048_576
const sequence = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER)
/** Subscribers of core NATS that are too slow are cut off by the server, so it does not get as much as it takes. */
const TOPIC_RATE = 1_000
const MAX_TOPIC_RATE = 5_000

const ReplayBody = z.object({
  from_sequence: sequence.optional(),
  /** Moment of arrival: seconds since the Unix epoch, or RFC 3339. */
  from: z
    .union(
      [
        z.iso.datetime({ offset: true }).transform((text) => Date.parse(text) / 1_000),
        z.number().transform(toSeconds),
      ],
      {
        error: 'must be a number of seconds or an RFC 3339 time',
      },
    )
    .optional(),
  to_sequence: sequence.optional(),
  subtopic: z.string().optional(),
  limit: z.number().int().min(1).max(100_000).default(10_000),
  max_bytes: z
    .number()
    .int()
    .min(1)
    .max(256 * MIB)
    .default(64 * MIB),
  rate: z.number().min(1).max(100_000).optional(),
  topic: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -')
    .optional(),
})

/** @throws {InvalidInput} no beginning, or two; a rate that subscribers of a topic would not stand */
function toWish(body: z.output<typeof ReplayBody>): ReplayWish {
  const { from, from_sequence: seq } = body
  if ((from === undefined) === (seq === undefined)) {
    throw new InvalidInput('from: either from or from_sequence must be given')
  }
  if (body.topic !== undefined && (body.rate ?? 0) > MAX_TOPIC_RATE) {
    throw new InvalidInput(`rate: must be at most ${MAX_TOPIC_RATE} with a topic`)
  }
  return {
    from: seq !== undefined ? { seq } : { ms: (from ?? 0) * 1_000 },
    toSeq: body.to_sequence,
    subtopic: body.subtopic,
    maxMessages: body.limit,
    maxBytes: body.max_bytes,
    rate: body.rate ?? (body.topic === undefined ? undefined : TOPIC_RATE),
  }
}

/** Subject of a replay on core NATS: no stream takes it, and no adapter carries it, so nobody takes it for something new. */
export const replaySubject = ({ domainId, channelId }: Admission, topic: string) =>
  `replay.${domainId}.c.${channelId}.${topic}`

/** Delivering again what is still in the stream: in the answer, or on a subject of NATS that the caller names. */
export function replayEndpoints({ replays, bus }: { replays: Replays; bus: Bus }): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: channelPaths('replay'),
      summary: 'Deliver messages of a channel again, from a time or a place in the stream',
      access: 'device',
      identify: readReader,
      params: ChannelParams,
      body: ReplayBody,
      status: 200,
      async handle({ ctx, params, body }) {
        const request = { readReader: () => readReaderAgain(ctx), reference: params }
        const replay = await replays.open(request, toWish(body))
        if (body.topic === undefined) {
          return new Reply(200, replayLines(replay, STALL_MS), 'application/x-ndjson')
        }
        // Nobody takes this answer before its end, so that is how a caller's going away shows.
        ctx.res.once('close', () => replay.close())
        if (ctx.res.closed) replay.close()
        const subject = replaySubject(replay.admission, body.topic)
        return { subject, ...(await publishReplay(bus, subject, replay)) }
      },
    }),
  ]
}
