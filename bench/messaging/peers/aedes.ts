import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Aedes } from 'aedes'

/** Aedes with nothing around it: state in memory, everybody may do everything. */
const broker = await Aedes.createBroker()
const server = createServer({ noDelay: true }, (socket) => broker.handle(socket))
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
