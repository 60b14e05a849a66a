import { randomBytes } from 'node:crypto'

export interface CallOptions {
  /** User's access token. */
  readonly token?: string | undefined
  /** The whole `Authorization` header, for everything that is not a user's token. */
  readonly auth?: string | undefined
  /** Sent as JSON unless it is text or bytes. */
  readonly body?: unknown
  readonly type?: string
  readonly headers?: Record<string, string>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // Tests look into answers of many shapes, each where it is expected; a type for each would say what the assertions say.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any
}

export type Api = ReturnType<typeof createApi>

export interface Person {
  readonly id: string
  readonly username: string
  readonly password: string
  readonly token: string
  readonly refreshToken: string
}

/** A client of the REST API, and the things that most tests begin with. */
export function createApi(url: string) {
  async function call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const { token, auth, body, type = 'application/json' } = options
    const headers: Record<string, string> = { ...options.headers }
    const authorization = token === undefined ? auth : `Bearer ${token}`
    if (authorization !== undefined) headers.authorization = authorization
    if (body !== undefined) headers['content-type'] = type
    const raw = typeof body === 'string' || body instanceof Uint8Array
    const response = await fetch(url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: raw ? (body as string) : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: parsed(text) }
  }

  async function expect(
    status: number,
    method: string,
    path: string,
    options: CallOptions = {},
  ): Promise<Answer> {
    const answer = await call(method, path, options)
    if (answer.status !== status)
      throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text}`)
    return answer
  }

  async function signIn(username: string, password: string) {
    const { body } = await expect(201, 'POST', '/users/tokens/issue', { body: { username, password } })
    return { token: body.access_token as string, refreshToken: body.refresh_token as string }
  }

  const given = {
    /** A person with an account, signed in. */
    async person(): Promise<Person> {
      const username = `u${randomBytes(6).toString('hex')}`
      const password = 'correct horse battery'
      const { body } = await expect(201, 'POST', '/users', {
        body: {
          first_name: 'Ada',
          last_name: 'Byron',
          email: `${username}@example.com`,
          credentials: { username, secret: password },
        },
      })
      return { id: body.id, username, password, ...(await signIn(username, password)) }
    },
    /** A domain of that person. */
    async domain(token: string, input: Record<string, unknown> = {}) {
      return (await expect(201, 'POST', '/domains', { token, body: { name: 'Plant', ...input } })).body
    },
    async client(token: string, domain: string, input: Record<string, unknown> = {}) {
      return (await expect(201, 'POST', `/${domain}/clients`, { token, body: { name: 'Sensor', ...input } }))
        .body
    },
    async channel(token: string, domain: string, input: Record<string, unknown> = {}) {
      return (await expect(201, 'POST', `/${domain}/channels`, { token, body: { name: 'Air', ...input } }))
        .body
    },
    async connection(token: string, domain: string, channel: string, client: string, types?: string[]) {
      await expect(201, 'POST', `/${domain}/channels/connect`, {
        token,
        body: { channel_ids: [channel], client_ids: [client], types },
      })
    },
    /** A person, a domain, and a client that is connected to a channel both ways. */
    async site() {
      const person = await given.person()
      const domain = await given.domain(person.token)
      const client = await given.client(person.token, domain.id)
      const channel = await given.channel(person.token, domain.id)
      await given.connection(person.token, domain.id, channel.id, client.id)
      return {
        person,
        token: person.token,
        domain,
        client,
        channel,
        secret: client.credentials.secret as string,
        auth: `Client ${client.credentials.secret}`,
        topic: `m/${domain.id}/c/${channel.id}`,
      }
    },
  }

  return { url, call, expect, signIn, given }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
