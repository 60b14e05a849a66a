#!/usr/bin/env node
// The container's health check: exit status 0 when the gateway in it answers.
const port = (process.env.SLUICE_HTTP_PORT || '8080').split(',')[0].trim()

try {
  const { ok } = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(4_000) })
  process.exitCode = ok ? 0 : 1
} catch {
  process.exitCode = 1
}
