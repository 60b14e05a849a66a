import { z } from 'zod'
import { Reply, endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { pageQuery } from '../../platform/http/listing.ts'
import { ChannelParams, channelPaths, readReader } from './caller.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import type { DeadLetters } from './dead-letter-service.ts'
import { holdPage } from './unread-page.ts'
import type { PageHolder } from './unread-page.ts'

const LIST = 'dead-letters'
const MAX_LIMIT = 100

const sequence = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER)
const LetterParams = ChannelParams.extend({ seq: sequence })

const Page = z.object({ limit: pageQuery(MAX_LIMIT).limit, cursor: z.string().optional() })

const DeadLetter = z.object({
  sequence: z.number(),
  reason: z.string(),
  dead_at: z.string(),
  stream_sequence: z.number(),
  payload_bytes: z.number().optional(),
  channel: z.string(),
  subtopic: z.string().optional(),
  publisher: z.string().optional(),
  protocol: z.string(),
  content_type: z.string().optional(),
  received_at: z.string(),
  payload: z.base64(),
  text: z.string().optional(),
})

/** Seeing what could not be stored, sending it on its way again, and throwing it away. */
export function deadLetterEndpoints(deadLetters: DeadLetters, holder: PageHolder): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: channelPaths('dead-letters'),
      summary: 'List messages of a channel that could not be stored',
      access: 'device',
      identify: readReader,
      params: ChannelParams,
      query: Page,
      status: 200,
      response: z.object({
        total: z.number(),
        limit: z.number(),
        cursor: z.string().optional(),
        dead_letters: z.array(DeadLetter),
      }),
      async handle({ ctx, params, query: { limit, cursor } }) {
        const reader = await readReader(ctx)
        const [fromSeq] = cursor === undefined ? [1] : decodeCursor(LIST, z.tuple([sequence]), cursor)
        const { domainId, total, items, nextSeq } = await deadLetters.list(reader, params, fromSeq, limit)
        const page = {
          total,
          limit,
          cursor: nextSeq === undefined ? undefined : encodeCursor(LIST, [nextSeq]),
          dead_letters: items,
        }
        const body = Buffer.from(JSON.stringify(page))
        holdPage(holder, ctx.res, domainId, body.length)
        return new Reply(200, body, 'application/json')
      },
    }),

    endpoint({
      method: 'post',
      path: channelPaths('dead-letters/:seq/replay'),
      summary: 'Publish a message again that could not be stored',
      access: 'device',
      identify: readReader,
      params: LetterParams,
      status: 202,
      async handle({ ctx, params }) {
        const reader = await readReader(ctx)
        await deadLetters.replay(reader, params, params.seq)
      },
    }),

    endpoint({
      method: 'delete',
      path: channelPaths('dead-letters/:seq'),
      summary: 'Throw away a message that could not be stored',
      access: 'device',
      identify: readReader,
      params: LetterParams,
      status: 204,
      async handle({ ctx, params }) {
        const reader = await readReader(ctx)
        await deadLetters.remove(reader, params, params.seq)
      },
    }),
  ]
}
