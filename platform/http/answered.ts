import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** What to call when a connection ends. One listener for all of it: a caller may have sent any number of requests. */
const underWay = new WeakMap<Socket, Set<() => void>>()

/**
 * Calls back, once, when the whole answer has been handed to the network, or its caller is gone. The response's own event
 * does not tell of the latter where the answer still waits behind that to an earlier request of its connection.
 */
export function whenAnswered(response: ServerResponse, callback: () => void): void {
  const { socket } = response.req
  if (response.closed || socket.destroyed) {
    callback()
    return
  }
  const ends = underWay.get(socket) ?? watch(socket)
  const onEnd = () => {
    if (ends.delete(onEnd)) callback()
  }
  ends.add(onEnd)
  response.once('close', onEnd)
}

function watch(socket: Socket): Set<() => void> {
  const ends = new Set<() => void>()
  underWay.set(socket, ends)
  socket.once('close', () => {
    for (const end of ends) end()
  })
  return ends
}
