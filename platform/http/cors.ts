/** On every answer: browsers may call from anywhere, since no cookie is ever a credential here (api.md 1.6). */
export const CORS_HEADERS: Readonly<Record<string, string>> = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'Location',
}

/** In addition on the answer to a preflight. `*` would not cover `Authorization` (Fetch standard, 3.3.3). */
export const PREFLIGHT_HEADERS: Readonly<Record<string, string>> = {
  'Access-Control-Allow-Methods': 'GET, POST, PUT, PATCH, DELETE',
  'Access-Control-Allow-Headers':
    'Authorization, Content-Type, If-None-Match, Last-Event-ID, X-FluxMQ-Username',
  'Access-Control-Max-Age': '86400',
}
