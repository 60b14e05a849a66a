import type { Config } from '../platform/config.ts'
import type { Gateway } from './start.ts'

/** What a person reads when the gateway is up: every address, the first credentials, and one command that works. */
export function banner(config: Config, gateway: Gateway, startedMs: number): string {
  const host = config.host === '0.0.0.0' || config.host === '::' ? '127.0.0.1' : config.host
  const [port] = gateway.httpPorts
  const http = `http://${host}:${port}`
  const others = gateway.httpPorts.slice(1).join(', ')
  const lines = [
    `Sluice is up after ${(startedMs / 1_000).toFixed(1)} s, as ${config.roles.join(', ')}`,
    '',
    ...(config.publicUrl === undefined ? [] : [`  from outside          ${config.publicUrl}`]),
    `  REST, HTTP publish    ${http}${others === '' ? '' : `  (also on ${others})`}`,
    `  WebSocket             ${http.replace('http', 'ws')}/m/<domain>/c/<channel>`,
    ...(gateway.mqttPort === undefined ? [] : [`  MQTT                  mqtt://${host}:${gateway.mqttPort}`]),
    ...(gateway.mqttsPort === undefined
      ? []
      : [`  MQTT over TLS         mqtts://${host}:${gateway.mqttsPort}`]),
    ...(gateway.mqttPort === undefined ? [] : [`  MQTT over WebSocket   ${http.replace('http', 'ws')}/mqtt`]),
    `  API documentation     ${http}/docs  ${http}/openapi.json`,
    `  health, metrics       ${http}/health  ${http}/readyz  ${http}/metrics`,
    `  data                  ${config.dataDir}`,
    '',
  ]
  if (gateway.firstAdmin) lines.push(...credentials(gateway.firstAdmin), '')
  if (host === '127.0.0.1' && config.host === host) {
    lines.push('  Only this machine can connect; SLUICE_HOST=0.0.0.0 opens the ports to the network.', '')
  }
  lines.push('  Try it:', `    curl -s ${http}/health`, '')
  return lines.join('\n')
}

function credentials({ username, password }: NonNullable<Gateway['firstAdmin']>): string[] {
  if (password === undefined)
    return [`  superadmin            ${username}, with the password from SLUICE_ADMIN_PASSWORD`]
  return [`  superadmin            ${username}`, `  password              ${password}   (shown this once)`]
}
