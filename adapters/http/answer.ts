import { STATUS_CODES } from 'node:http'
import type { ServerResponse } from 'node:http'
import { DomainError, MethodNotAllowed } from '../../platform/errors.ts'
import { CORS_HEADERS, PREFLIGHT_HEADERS } from '../../platform/http/cors.ts'
import { errorBody, httpStatus } from '../../platform/http/status.ts'

type Headers = Readonly<Record<string, string | number>>

const EMPTY: Headers = { ...CORS_HEADERS, 'Content-Length': 0 }
const PREFLIGHT: Headers = { ...CORS_HEADERS, ...PREFLIGHT_HEADERS }

/** Answers without a body. */
export function answerEmpty(res: ServerResponse, status: 200 | 202): void {
  res.writeHead(status, EMPTY).end()
}

export function answerPreflight(res: ServerResponse): void {
  res.writeHead(204, PREFLIGHT).end()
}

/** Answers with the error's status and the body of api.md 1.4. */
export function answerError(res: ServerResponse, error: unknown): void {
  const { status, headers, body } = errorAnswer(error)
  res.writeHead(status, headers).end(body)
}

function errorAnswer(error: unknown): { status: number; headers: Headers; body: string } {
  const body = JSON.stringify(errorBody(error))
  const headers: Record<string, string | number> = {
    ...CORS_HEADERS,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  }
  if (error instanceof DomainError && error.retryAfterS !== undefined) {
    headers['Retry-After'] = error.retryAfterS
  }
  if (error instanceof MethodNotAllowed) headers['Allow'] = error.allowed.join(', ')
  return { status: httpStatus(error), headers, body }
}

/** The same answers, as text for connections that `node:http` does not write to. */
export interface AnswerTexts {
  accepted(): string
  error(error: unknown): string
}

/** @param keepAliveS how long the connection is kept when nothing comes */
export function createAnswerTexts(keepAliveS: number): AnswerTexts {
  let second = 0
  let closing = ''
  let accepted = ''

  /** What ends a head changes once a second. */
  function renew(): void {
    const now = Math.floor(Date.now() / 1_000)
    if (now === second) return
    second = now
    const date = new Date(now * 1_000).toUTCString()
    closing = `Date: ${date}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${keepAliveS}\r\n\r\n`
    accepted = head(202, EMPTY) + closing
  }

  return {
    accepted() {
      renew()
      return accepted
    },
    error(error) {
      renew()
      const { status, headers, body } = errorAnswer(error)
      return head(status, headers) + closing + body
    },
  }
}

function head(status: number, headers: Headers): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}`
}
