import { InvalidInput } from '../errors.ts'

/** Where the bus is and how to sign in there, taken apart so that no credential stays inside an address. */
export interface BusServers {
  /** `host:port` each; safe to log. */
  readonly addresses: readonly string[]
  readonly user: string | undefined
  readonly pass: string | undefined
  readonly token: string | undefined
  readonly isTls: boolean
}

/**
 * Reads a comma list of NATS URLs: `nats://user:password@host:4222,host2`, `tls://token@host`.
 *
 * We take them apart ourselves: nats.js reads no credentials out of a URL, and its errors (and those of `URL`) would carry
 * the whole text into the log.
 *
 * @throws {InvalidInput} not a list of NATS URLs, or two sets of credentials; the message repeats none of it
 */
export function parseServers(list: string): BusServers {
  const addresses: string[] = []
  let isTls = false
  let userInfo = ''
  for (const entry of list.split(',')) {
    const text = entry.trim()
    if (text === '') continue
    const position = addresses.length + 1
    const url = parseUrl(/^[a-z]+:\/\//i.test(text) ? text : `nats://${text}`)
    if (!url || (url.protocol !== 'nats:' && url.protocol !== 'tls:') || url.hostname === '') {
      throw new InvalidInput(
        `NATS server ${position} of the list is not of the form nats://[user:password@]host[:port]`,
      )
    }
    isTls ||= url.protocol === 'tls:'
    addresses.push(`${url.hostname}:${url.port || '4222'}`)
    const info = url.username === '' && url.password === '' ? '' : `${url.username}:${url.password}`
    if (info !== '' && userInfo !== '' && info !== userInfo) {
      throw new InvalidInput('the NATS servers of the list carry different credentials; one set serves all')
    }
    userInfo ||= info
  }
  if (addresses.length === 0) throw new InvalidInput('the list of NATS servers is empty')
  const [user, pass] = userInfo.split(':').map(decodeURIComponent)
  const isToken = user !== undefined && user !== '' && !pass
  return {
    addresses,
    user: isToken ? undefined : user || undefined,
    pass: pass || undefined,
    token: isToken ? user : undefined,
    isTls,
  }
}

function parseUrl(text: string): URL | undefined {
  try {
    const url = new URL(text)
    // A stray % would only be found when the credentials are decoded, and then thrown with them.
    decodeURIComponent(url.username + url.password)
    return url
  } catch {
    return undefined
  }
}
