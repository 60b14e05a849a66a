import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { DomainError, MethodNotAllowed } from '../../platform/errors.ts'
import { CORS_HEADERS, PREFLIGHT_HEADERS } from '../../platform/http/cors.ts'
import { errorBody, httpStatus } from '../../platform/http/status.ts'

const EMPTY: OutgoingHttpHeaders = { ...CORS_HEADERS, 'Content-Length': 0 }
const PREFLIGHT: OutgoingHttpHeaders = { ...CORS_HEADERS, ...PREFLIGHT_HEADERS }

/** Answers without a body. */
export function answerEmpty(res: ServerResponse, status: 200 | 202): void {
  res.writeHead(status, EMPTY).end()
}

export function answerPreflight(res: ServerResponse): void {
  res.writeHead(204, PREFLIGHT).end()
}

/** Answers with the error's status and the body of api.md 1.4. */
export function answerError(res: ServerResponse, error: unknown): void {
  const body = Buffer.from(JSON.stringify(errorBody(error)))
  const headers: OutgoingHttpHeaders = {
    ...CORS_HEADERS,
    'Content-Type': 'application/json',
    'Content-Length': body.length,
  }
  if (error instanceof DomainError && error.retryAfterS !== undefined) {
    headers['Retry-After'] = error.retryAfterS
  }
  if (error instanceof MethodNotAllowed) headers['Allow'] = error.allowed.join(', ')
  res.writeHead(httpStatus(error), headers).end(body)
}
