import { Reply } from './endpoint.ts'

/**
 * The answer to a deletion whose form depends on who asks (contract D1): without an `Accept` header, as Go's client sends it,
 * 204 and no body; otherwise 200 with a message.
 *
 * @param message such as `User deleted successfully`
 */
export function deletedReply(ctx: { get(header: string): string }, message: string): Reply {
  return ctx.get('accept') === '' ? new Reply(204) : new Reply(200, { message })
}
