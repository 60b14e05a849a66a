import { z } from 'zod'
import { Unauthenticated } from '../../platform/errors.ts'
import { readCredentials } from '../../platform/http/credentials.ts'
import { endpoint, requireVerified } from '../../platform/http/endpoint.ts'
import type { Endpoint, RequestState } from '../../platform/http/endpoint.ts'
import { MessagesQuery, echoFilter, toMessageFilter } from './query.ts'
import type { BucketRow, JsonMessageRow, ReadingRow } from './repository.ts'
import type { Messages, Reader } from './service.ts'

const Params = z.object({
  domain: z.string().optional(),
  channel: z.string(),
  /** One SDK glues the subtopic to the path. */
  subtopic: z.union([z.string(), z.array(z.string()).transform((levels) => levels.join('/'))]).optional(),
})

/** Reading stored messages: with the domain in the path, without it, and with the subtopic glued to the path (contract 16). */
export function messageEndpoints(messages: Messages): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: [
        '/:domain/channels/:channel/messages',
        '/channels/:channel/messages',
        '/:domain/channels/:channel/messages*subtopic',
        '/channels/:channel/messages*subtopic',
      ],
      summary: 'Read stored messages of a channel',
      access: 'device',
      params: Params,
      query: MessagesQuery,
      status: 200,
      async handle({ ctx, params, query }) {
        const reader = await readReader(ctx)
        const filter = toMessageFilter(query, params.subtopic)
        const { kind, page } = await messages.list(reader, params.domain, params.channel, filter)
        return {
          offset: filter.offset,
          limit: filter.limit,
          format: filter.format,
          total: page.total,
          messages: kind === 'json' ? page.items.map(presentJson) : page.items.map(presentReading),
          ...echoFilter(ctx.query),
        }
      },
    }),
  ]
}

async function readReader(ctx: { get(header: string): string; state: RequestState }): Promise<Reader> {
  const presented = readCredentials(ctx.get('authorization'), undefined)
  if (!presented) throw new Unauthenticated()
  if (presented.kind === 'token') {
    const principal = await ctx.state.principal()
    requireVerified(principal)
    return { kind: 'user', principal }
  }
  const clientId = presented.kind === 'client' ? presented.clientId : undefined
  return { kind: 'client', secret: presented.secret, clientId }
}

/** Absent values are absent in the answer. Rows of an aggregation are readings that lack most of them. */
function presentReading(row: BucketRow & Partial<ReadingRow>) {
  return {
    channel: row.channel_id,
    subtopic: row.subtopic === '' ? undefined : row.subtopic,
    publisher: row.publisher ?? undefined,
    protocol: row.protocol,
    name: row.name,
    unit: row.unit ?? undefined,
    time: row.time,
    update_time: row.update_time ?? undefined,
    value: row.value ?? undefined,
    string_value: row.string_value ?? undefined,
    bool_value: row.bool_value ?? undefined,
    data_value: row.data_value ?? undefined,
    sum: row.sum ?? undefined,
  }
}

function presentJson(row: JsonMessageRow) {
  return {
    channel: row.channel_id,
    created: row.created,
    subtopic: row.subtopic === '' ? undefined : row.subtopic,
    publisher: row.publisher ?? undefined,
    protocol: row.protocol,
    payload: row.payload,
  }
}
