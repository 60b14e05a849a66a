import { Router } from '@koa/router'
import { Unauthenticated } from '../../platform/errors.ts'
import { readCredentials } from '../../platform/http/credentials.ts'
import type { RequestContext } from '../../platform/http/input.ts'
import type { RequestState } from '../auth/types.ts'
import { echoFilter, readMessageFilter } from './query.ts'
import type { BucketRow, JsonMessageRow, ReadingRow } from './repository.ts'
import type { Messages, Reader } from './service.ts'

/** Reading stored messages: with the domain in the path, without it, and with the subtopic glued to the path (contract 16). */
export function messageRoutes(messages: Messages): Router<RequestState> {
  const router = new Router<RequestState>()
  for (const prefix of ['', '/:domain']) {
    for (const path of [
      `${prefix}/channels/:channel/messages`,
      `${prefix}/channels/:channel/messages*subtopic`,
    ]) {
      router.get(path, async (ctx) => {
        const reader = await readReader(ctx)
        const { domain, channel = '', subtopic } = ctx.params
        const filter = readMessageFilter(ctx, subtopic)
        const { kind, page } = await messages.list(reader, domain, channel, filter)
        ctx.body = {
          offset: filter.offset,
          limit: filter.limit,
          format: filter.format,
          total: page.total,
          messages: kind === 'json' ? page.items.map(presentJson) : page.items.map(presentReading),
          ...echoFilter(ctx),
        }
      })
    }
  }
  return router
}

async function readReader(ctx: RequestContext & { state: RequestState }): Promise<Reader> {
  const presented = readCredentials(ctx.get('authorization'), undefined)
  if (!presented) throw new Unauthenticated()
  if (presented.kind === 'token') return { kind: 'user', principal: await ctx.state.principal() }
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
