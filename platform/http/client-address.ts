import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { plainAddress } from '../buckets.ts'

/** Tells where requests come from. */
export type AddressReader = (req: IncomingMessage) => string

/**
 * @param proxies addresses and networks of the proxies in front; they alone are believed when they name somebody else in
 *   `X-Forwarded-For`, which is read from its end, since anybody may write the beginning
 */
export function createAddressReader(proxies: readonly string[]): AddressReader {
  // Looking it up in an empty list costs a request more than all else that is done with the address.
  if (proxies.length === 0) return (req) => plainAddress(req.socket.remoteAddress ?? '')
  const isTrusted = createAddressList(proxies)

  return (req) => {
    const header = req.headers['x-forwarded-for'] ?? ''
    const named = (typeof header === 'string' ? header : header.join(','))
      .split(',')
      .map((name) => name.trim())
    let address = plainAddress(req.socket.remoteAddress ?? '')
    while (isTrusted(address)) {
      const before = plainAddress(named.pop() ?? '')
      if (isIP(before) === 0) break
      address = before
    }
    return address
  }
}

/** @returns whether an address is among these addresses and networks */
export function createAddressList(networks: readonly string[]): (address: string) => boolean {
  if (networks.length === 0) return () => false
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = familyOf(address)
    list.addSubnet(address, prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix), family)
  }
  return (given) => {
    const address = plainAddress(given)
    return isIP(address) !== 0 && list.check(address, familyOf(address))
  }
}

const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')
