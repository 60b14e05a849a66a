import { isUuid } from '../identifiers.ts'

/** What a request or a handshake showed, before it is known in which domain a secret counts. */
export type Presented =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'client'; readonly clientId: string; readonly secret: string }
  | { readonly kind: 'secret'; readonly secret: string }

// What JavaScript clients send for "nothing" (api.md 1.2).
const ABSENT: ReadonlySet<string> = new Set(['', 'undefined', 'null'])

/**
 * Reads the credentials of an HTTP request or a WebSocket handshake in all the forms of api.md 1.3: `Bearer <JWT or PAT>`,
 * `Client <secret>`, `Basic base64(<client id>:<secret>)`, the bare secret; in the header, or in the query as
 * `authorization`. The header wins.
 *
 * @param header the `Authorization` header
 * @param query the `authorization` parameter, decoded
 * @returns `undefined` when there are none, or none that can be read
 */
export function readCredentials(
  header: string | undefined,
  query: string | null | undefined,
): Presented | undefined {
  return readAuthorization(header) ?? readAuthorization(query)
}

function readAuthorization(value: string | null | undefined): Presented | undefined {
  const text = value?.trim() ?? ''
  const [, scheme = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(text) ?? []
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return ABSENT.has(rest) ? undefined : { kind: 'token', token: rest }
    case 'client':
      return secretOf(rest)
    case 'basic':
      return readBasic(rest)
    default:
      // A scheme with nothing behind it is not a secret by that name.
      return /^(?:bearer|client|basic)$/i.test(text) ? undefined : secretOf(text)
  }
}

function readBasic(encoded: string): Presented | undefined {
  const decoded = Buffer.from(encoded, 'base64').toString()
  const colon = decoded.indexOf(':')
  if (colon === -1) return undefined
  const user = decoded.slice(0, colon)
  const presented = secretOf(decoded.slice(colon + 1))
  // Older clients put anything in front of the colon: then the secret speaks alone.
  if (!presented || !isUuid(user)) return presented
  return { kind: 'client', clientId: user.toLowerCase(), secret: presented.secret }
}

function secretOf(text: string): Extract<Presented, { kind: 'secret' }> | undefined {
  return ABSENT.has(text) ? undefined : { kind: 'secret', secret: text }
}

/**
 * On `POST /publish` alone a client's secret may stand behind `Bearer` (api.md D8): what is neither a JWT nor a personal
 * access token is one.
 */
export function bearerAsSecret(presented: Presented): Presented {
  if (presented.kind !== 'token') return presented
  const { token } = presented
  return token.startsWith('pat_') || token.split('.').length === 3
    ? presented
    : { kind: 'secret', secret: token }
}

const NO_QUERY = new URLSearchParams()

/** Path and query of a request's target. A second question mark counts as an ampersand (api.md D21). */
export function splitUrl(url: string): { path: string; query: URLSearchParams } {
  const mark = url.indexOf('?')
  if (mark === -1) return { path: url, query: NO_QUERY }
  return { path: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1).replaceAll('?', '&')) }
}
