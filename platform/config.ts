import { z } from 'zod'
import { COMPAT_PORTS } from './compat-ports.ts'
import { ROLES, SETTINGS } from './config-schema.ts'
import type { Role, Setting } from './config-schema.ts'

export type { Role } from './config-schema.ts'

/** Everything that is set from outside. Read once at the start, and handed down in parts. */
export type Config = {
  readonly [Name in keyof typeof SETTINGS]: z.output<(typeof SETTINGS)[Name]['schema']>
}

/** Every problem of the environment at once, one a line, by the name of its variable. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(['The configuration cannot be used:', ...problems].join('\n  '))
    this.problems = problems
  }
}

const PREFIX = 'SLUICE_'
const ADAPTERS: ReadonlySet<Role> = new Set<Role>(['http', 'mqtt', 'ws'])
const entries = Object.entries(SETTINGS) as [keyof Config, Setting<unknown>][]
const schema = z.object(Object.fromEntries(entries.map(([name, { schema: value }]) => [name, value])))

/**
 * Reads the configuration out of the environment. An empty variable counts as one that is not given.
 *
 * @returns frozen
 * @throws {ConfigError} a value is not usable, two do not go together, or a `SLUICE_` variable is unknown
 */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const given = entries.map(([name, { variable }]) => [name, env[variable]?.trim() || undefined] as const)
  const result = schema.safeParse(Object.fromEntries(given))
  const problems = unknownVariables(env)
  if (!result.success) {
    for (const issue of result.error.issues) problems.push(describe(issue, Object.fromEntries(given)))
  } else {
    problems.push(...contradictions(result.data as Config))
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return Object.freeze(result.data as Config)
}

function describe(issue: z.core.$ZodIssue, given: Record<string, string | undefined>): string {
  const name = issue.path[0] as keyof Config
  const { variable, isSecret } = SETTINGS[name]
  const echo = isSecret ? '' : ` (it is ${JSON.stringify(given[name])})`
  return `${variable} ${issue.message}${echo}`
}

/** What each variable by itself cannot know. */
function contradictions(config: Config): string[] {
  return [...splitRoles(config), ...incompleteTls(config), ...sharedPorts(config)]
}

function splitRoles(config: Config): string[] {
  const missing = ROLES.filter((role) => !config.roles.includes(role))
  if (missing.length === 0) return []
  // Other processes do the rest of the work, and they can only meet on a Postgres and a NATS that all of them know.
  const because = `SLUICE_ROLES leaves ${missing.join(', ')} to other processes`
  const problems: string[] = []
  if (config.natsUrl === undefined) problems.push(`SLUICE_NATS_URL must be given, since ${because}`)
  if (config.databaseUrl === undefined && !config.roles.every((role) => ADAPTERS.has(role))) {
    problems.push(`SLUICE_DATABASE_URL must be given, since ${because}`)
  }
  return problems
}

function incompleteTls({ tlsCert, tlsKey, tlsCa, tlsCrl, tlsClientAuth }: Config): string[] {
  const problems: string[] = []
  const demand = (is: unknown, variable: string, because: string) => {
    if (is === undefined) problems.push(`${variable} must be given, since ${because}`)
  }
  if (tlsCert !== undefined) demand(tlsKey, 'SLUICE_TLS_KEY', 'there is a certificate in SLUICE_TLS_CERT')
  if (tlsKey !== undefined) demand(tlsCert, 'SLUICE_TLS_CERT', 'there is a key in SLUICE_TLS_KEY')
  if (tlsCa !== undefined) demand(tlsCert, 'SLUICE_TLS_CERT', 'SLUICE_TLS_CA is for the port with TLS')
  if (tlsCrl !== undefined) demand(tlsCa, 'SLUICE_TLS_CA', 'SLUICE_TLS_CRL lists certificates of clients')
  if (tlsClientAuth === 'required') demand(tlsCa, 'SLUICE_TLS_CA', 'SLUICE_TLS_CLIENT_AUTH is required')
  return problems
}

/** Whichever setting comes second would find its port taken, by what looks like another process. */
function sharedPorts(config: Config): string[] {
  const { httpPorts, compatPorts, mqttPort, mqttsPort, tlsCert } = config
  const hasMqtt = config.roles.includes('mqtt')
  const opened: Readonly<Record<string, readonly number[]>> = {
    SLUICE_HTTP_PORT: httpPorts,
    SLUICE_COMPAT_PORTS: compatPorts ? COMPAT_PORTS : [],
    SLUICE_MQTT_PORT: hasMqtt ? [mqttPort] : [],
    SLUICE_MQTTS_PORT: hasMqtt && tlsCert !== undefined ? [mqttsPort] : [],
  }
  const problems: string[] = []
  const openedBy = new Map<number, string>()
  for (const [variable, ports] of Object.entries(opened)) {
    // Zero is a free one each time.
    for (const port of ports.filter((each) => each !== 0)) {
      const other = openedBy.get(port)
      if (other === undefined) openedBy.set(port, variable)
      else problems.push(`${variable} must not open port ${port}, since ${other} does`)
    }
  }
  return problems
}

/** A mistyped name would otherwise be a setting that silently does nothing. */
function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = entries.map(([, { variable }]) => variable)
  return Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && !known.includes(name))
    .map((name) => {
      const [nearest] = known
        .map((candidate) => ({ candidate, edits: distance(name, candidate) }))
        .sort((a, b) => a.edits - b.edits)
      const hint = nearest && nearest.edits <= 4 ? `; did you mean ${nearest.candidate}?` : ''
      return `${name} is not a setting${hint}`
    })
}

/** Levenshtein's: the least number of characters to insert, delete or replace. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
