import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** Tells where requests come from. */
export type AddressReader = (req: IncomingMessage) => string

/**
 * @param proxies addresses and networks of the proxies in front; they alone are believed when they name somebody else in
 *   `X-Forwarded-For`, which is read from its end, since anybody may write the beginning
 */
export function createAddressReader(proxies: readonly string[]): AddressReader {
  const trusted = new BlockList()
  for (const proxy of proxies) {
    const [address = '', prefix] = proxy.split('/')
    const family = familyOf(address)
    trusted.addSubnet(address, prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix), family)
  }
  const isTrusted = (address: string) => isIP(address) !== 0 && trusted.check(address, familyOf(address))

  return (req) => {
    const header = req.headers['x-forwarded-for'] ?? ''
    const named = (typeof header === 'string' ? header : header.join(','))
      .split(',')
      .map((name) => name.trim())
    let address = plain(req.socket.remoteAddress ?? '')
    while (isTrusted(address)) {
      const before = plain(named.pop() ?? '')
      if (isIP(before) === 0) break
      address = before
    }
    return address
  }
}

const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** IPv4 inside IPv6 as sockets that listen on both show it. */
const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '')
