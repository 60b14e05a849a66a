import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'

/** Hands every message to everybody but its sender. */
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    for (const client of server.clients) if (client !== socket) client.send(data as Buffer, { binary: true })
  })
})
server.on('listening', () => process.send?.((server.address() as AddressInfo).port))
