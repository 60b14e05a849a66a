import { toJson } from './json.ts'

/** Server-sent events as text (HTML standard, 9.2.6 "Interpreting an event stream"). */

/** One event. Its data is one line, since JSON has no bare line breaks. */
export function sseEvent(event: { readonly id?: string; readonly type?: string; readonly data: unknown }) {
  const id = event.id === undefined ? '' : `id: ${event.id}\n`
  const type = event.type === undefined ? '' : `event: ${event.type}\n`
  return `${id}${type}data: ${toJson(event.data)}\n\n`
}

/**
 * The opening of a stream: how soon to come back when it ends, and the id to come back with. An event without data is
 * dispatched to nobody, and its id is remembered all the same.
 */
export const sseOpening = (id: string, retryMs: number) => `retry: ${retryMs}\nid: ${id}\n\n`

/** Ignored by every reader; keeps what lies in between from thinking that nobody is there. */
export const SSE_HEARTBEAT = ': still here\n\n'
