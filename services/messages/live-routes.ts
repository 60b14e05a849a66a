import { Reply, endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { ChannelParams, channelPaths, readReader, readReaderAgain } from './caller.ts'
import { LiveQuery, parsePlace } from './live-query.ts'
import type { Live } from './live.ts'

const HEADERS = {
  // Nothing comes behind an answer without an end; kept open, the connection would hold up a stop.
  Connection: 'close',
  'Cache-Control': 'no-store',
  // nginx would gather events until its buffer is full.
  'X-Accel-Buffering': 'no',
}

/** A channel's messages as they come, as server-sent events. */
export function liveEndpoints(live: Live): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: channelPaths('messages/live'),
      summary: 'Follow the messages of a channel as server-sent events',
      access: 'device',
      identify: readReader,
      params: ChannelParams,
      query: LiveQuery,
      status: 200,
      async handle({ ctx, params, query }) {
        const header = ctx.get('last-event-id')
        const id = header === '' ? query.last_event_id : header
        const field = header === '' ? 'last_event_id' : 'Last-Event-ID'
        const body = await live.open({
          readReader: () => readReaderAgain(ctx),
          reference: params,
          filter: query,
          place: id === undefined ? undefined : parsePlace(id, field),
        })
        return new Reply(200, body, 'text/event-stream', HEADERS)
      },
    }),
  ]
}
