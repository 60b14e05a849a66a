import { Reply } from './endpoint.ts'
import type { RequestContext } from './input.ts'

/**
 * The answer to the deletion of a user or a client (contract D1): who sends no `Accept` header asks for no representation
 * and gets 204, which Go's client insists on; everybody else gets 200 and a sentence.
 */
export function deletionReply(ctx: Pick<RequestContext, 'get'>, message: string): Reply {
  return ctx.get('accept') === '' ? new Reply(204) : new Reply(200, { message })
}
