import type { ServerResponse } from 'node:http'
import { whenAnswered } from '../../platform/http/answered.ts'
import type { SlowReaders } from './slow-readers.ts'
import type { Unread } from './unread.ts'

export interface PageHolder {
  readonly unread: Pick<Unread, 'hold'>
  readonly dropped: SlowReaders
}

/** Counts what is sent as unread until it has been taken; when others need the room, its connection is cut off. */
export function holdPage(
  { unread, dropped }: PageHolder,
  response: ServerResponse,
  domainId: string,
  bytes: number,
): void {
  const release = unread.hold(domainId, bytes, () => {
    dropped('page', domainId)
    response.req.socket.destroy()
  })
  whenAnswered(response, release)
}
