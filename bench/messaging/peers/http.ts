import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Reads the body and says "accepted". */
const server = createServer((req, res) => {
  req.resume()
  req.on('end', () => res.writeHead(202, { 'Content-Length': 0 }).end())
})
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
