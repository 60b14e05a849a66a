import type { RouterContext } from '@koa/router'
import { z } from 'zod'
import { whenAnswered } from '../../platform/http/answered.ts'
import { Reply, endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint, RequestState } from '../../platform/http/endpoint.ts'
import type { Reader } from './access.ts'
import { ChannelParams, readReader, readReaderAgain } from './caller.ts'
import { EXPORT_TYPES, createExportWriter } from './export-formats.ts'
import type { ExportType } from './export-formats.ts'
import { toStream } from './export-stream.ts'
import type { Guard } from './guard.ts'
import { toJsonWith } from './json.ts'
import { MessagesQuery, echoFilter, toMessageFilter, toPage } from './query.ts'
import type { Messages, Question } from './service.ts'
import type { SlowReaders } from './slow-readers.ts'
import { isMatched } from './state.ts'
import { holdPage } from './unread-page.ts'

const Params = ChannelParams.extend({
  /** One SDK glues the subtopic to the path. */
  subtopic: z.union([z.string(), z.array(z.string()).transform((levels) => levels.join('/'))]).optional(),
})

const optionalText = z.string().optional()
const optionalNumber = z.number().optional()

/** A reading or a bucket; of other JSON, what it has in common with them, `created` and `payload`. */
const Message = z.object({
  channel: z.string(),
  protocol: optionalText,
  publisher: optionalText,
  subtopic: optionalText,
  name: optionalText,
  unit: optionalText,
  time: optionalNumber,
  update_time: optionalNumber,
  value: z.number().nullable().optional(),
  string_value: optionalText,
  bool_value: z.boolean().optional(),
  data_value: optionalText,
  sum: optionalNumber,
  created: optionalNumber,
  payload: z.record(z.string(), z.unknown()).optional(),
})

const Page = z.looseObject({
  offset: z.number(),
  limit: z.number(),
  format: z.string(),
  total: z.number(),
  /** Where the next page begins; absent on the last. */
  cursor: optionalText,
  /** Everything at or before this place of the stream is in the answer; a live tail goes on behind it. */
  position: z.number(),
  messages: z.array(Message),
})

export interface MessageRoutesParts {
  readonly messages: Messages
  readonly guard: Pick<Guard, 'watch'>
  readonly dropped: SlowReaders
  /** An export of which nothing is taken for so long is cut off. */
  readonly exportStallMs: number
}

/** Reading stored messages: with the domain in the path, without it, and with the subtopic glued to the path (contract 16). */
export function messageEndpoints({
  messages,
  guard,
  dropped,
  exportStallMs,
}: MessageRoutesParts): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: [
        '/:domain/channels/:channel/messages',
        '/channels/:channel/messages',
        '/:domain/channels/:channel/messages*subtopic',
        '/channels/:channel/messages*subtopic',
      ],
      summary:
        'Read stored messages of a channel, a page of them or, by `Accept`, all as NDJSON, CSV or SenML',
      access: 'device',
      identify: readReader,
      params: Params,
      query: MessagesQuery,
      status: 200,
      response: Page,
      async handle({ ctx, params, query }) {
        const reader = await readReader(ctx)
        // Here `null` is a word, and not the nothing that some clients send it for.
        const fill = ctx.query.fill === 'null' ? 'null' : query.fill
        const filter = toMessageFilter({ ...query, fill }, params.subtopic)
        const type = exportType(ctx)
        const question = readQuestion(ctx, type ?? 'application/json')
        if (type !== undefined) {
          const writer = createExportWriter(type, filter.format)
          const { tag, admission, document } = await messages.export(reader, params, filter, question, writer)
          if (!document) return unchanged(tag)
          const stream = toStream(document, exportStallMs, () => {
            dropped('export', admission.domainId)
            ctx.req.socket.destroy()
          })
          const again = { readReader: () => readExporter(ctx, reader), reference: params }
          // What began with a token goes on behind its end: only what it opened is to stay open.
          const unwatch = guard.watch(again, { ...admission, expiresAtMs: undefined }, () =>
            ctx.req.socket.destroy(),
          )
          whenAnswered(ctx.res, () => {
            unwatch()
            stream.destroy()
          })
          return new Reply(200, stream, type, headersOf(tag))
        }
        const page = toPage(filter)
        const answer = await messages.list(reader, params, page, question)
        if (answer.isUnchanged) return unchanged(answer.tag)
        const head = {
          offset: page.offset,
          limit: page.limit,
          format: page.format,
          total: answer.total,
          cursor: answer.cursor,
          position: answer.position,
          ...echoFilter(ctx.query),
        }
        const body = Buffer.from(toJsonWith(head, 'messages', answer.messages))
        holdPage({ unread: messages.unread, dropped }, ctx.res, answer.domainId, body.length)
        return new Reply(200, body, 'application/json', headersOf(answer.tag))
      },
    }),
  ]
}

type Call = RouterContext<RequestState>

/** Who exports, asked again as long as the token lasts that it began with. */
async function readExporter(ctx: Call, reader: Reader): Promise<Reader> {
  const endsAtMs = reader.kind === 'user' ? (reader.principal.expiresAtMs ?? Infinity) : Infinity
  return Date.now() < endsAtMs ? readReaderAgain(ctx) : reader
}

/** `undefined` for a page: whoever has no wish, or wishes for what we do not write, gets JSON. */
function exportType(ctx: Call): ExportType | undefined {
  // An answer without a body is that of a page.
  if (ctx.method === 'HEAD') return undefined
  const accepted = ctx.accepts('application/json', ...EXPORT_TYPES)
  return EXPORT_TYPES.find((type) => type === accepted)
}

function readQuestion(ctx: Call, type: string): Question {
  const known = ctx.get('if-none-match')
  return {
    text: `${type} ${ctx.path}?${ctx.querystring}`,
    isKnown: (tag) => known !== '' && isMatched(known, tag),
  }
}

const headersOf = (tag: string) => ({
  ETag: tag,
  'Access-Control-Expose-Headers': 'Location, ETag',
  // To be kept, and asked about each time; not by caches that serve many.
  'Cache-Control': 'private, no-cache',
  Vary: 'Accept, Authorization',
})

const unchanged = (tag: string) => new Reply(304, undefined, undefined, headersOf(tag))
