import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { ChannelParams, readReader } from './caller.ts'
import { presentJson, presentReading } from './present.ts'
import { MessagesQuery, echoFilter, toMessageFilter } from './query.ts'
import type { Messages } from './service.ts'

const Params = ChannelParams.extend({
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
        const { kind, page } = await messages.list(reader, params, filter)
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
