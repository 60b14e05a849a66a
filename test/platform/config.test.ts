import { describe, expect, it } from 'vitest'
import { ConfigError, loadConfig } from '../../platform/config.ts'
import { SETTINGS } from '../../platform/config-schema.ts'

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('the configuration', () => {
  it('holds without anything given', () => {
    const config = loadConfig({ PATH: '/bin' })

    expect(config).toMatchObject({
      host: '127.0.0.1',
      httpPorts: [8080],
      mqttPort: 1883,
      dataDir: './data',
      databaseUrl: undefined,
      natsUrl: undefined,
      roles: ['http', 'mqtt', 'ws', 'api', 'writer', 'reader'],
      compatPorts: false,
      openSignup: true,
      openAdminSignup: false,
      adminPassword: undefined,
      logLevel: 'info',
    })
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.roles)).toBe(true)
  })

  it('is read in the forms that people write', () => {
    expect(
      loadConfig({
        SLUICE_HTTP_PORT: '8080, 9090',
        SLUICE_MQTT_PORT: '0',
        SLUICE_COMPAT_PORTS: 'true',
        SLUICE_NATS_URL: 'nats://user:word@one:4222,two:4222',
        SLUICE_DATABASE_URL: 'postgresql://user:word@db/sluice',
        SLUICE_ROLES: 'writer',
      }),
    ).toMatchObject({
      httpPorts: [8080, 9090],
      mqttPort: 0,
      compatPorts: true,
      natsUrl: 'nats://user:word@one:4222,two:4222',
      roles: ['writer'],
    })
  })

  it('takes an empty variable for one that is not given', () => {
    expect(loadConfig({ SLUICE_MQTT_PORT: '', SLUICE_ADMIN_PASSWORD: ' ' })).toMatchObject({
      mqttPort: 1883,
      adminPassword: undefined,
    })
  })

  it.each([
    '00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF',
    'ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=',
  ])('reads the master key %s', (key) => {
    expect(Buffer.from(loadConfig({ SLUICE_SECRET_KEY: key }).secretKey ?? []).toString('hex')).toBe(
      '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',
    )
  })

  it('names every problem at once, by variable and with what was given', () => {
    expect(
      problemsOf({
        SLUICE_HTTP_PORT: '80,http',
        SLUICE_MQTT_PORT: '70000',
        SLUICE_COMPAT_PORTS: 'maybe',
        SLUICE_LOG_LEVEL: 'loud',
        SLUICE_ROLES: 'api,poet',
        SLUICE_ADMIN_EMAIL: 'nobody',
        SLUICE_MQT_PORT: '1884',
      }),
    ).toEqual([
      'SLUICE_MQT_PORT is not a setting; did you mean SLUICE_MQTT_PORT?',
      'SLUICE_ROLES must be one of http, mqtt, ws, api, writer, reader (it is "api,poet")',
      'SLUICE_LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent (it is "loud")',
      'SLUICE_HTTP_PORT must be a whole number from 0 to 65535 (it is "80,http")',
      'SLUICE_MQTT_PORT must be a whole number from 0 to 65535 (it is "70000")',
      'SLUICE_COMPAT_PORTS must be 1, true, 0 or false (it is "maybe")',
      'SLUICE_ADMIN_EMAIL must be an e-mail address (it is "nobody")',
    ])
  })

  it('never repeats a secret', () => {
    const secrets = {
      SLUICE_ADMIN_PASSWORD: 'pssst',
      SLUICE_SECRET_KEY: 'pssst',
      SLUICE_DATABASE_URL: 'mysql://user:pssst@db/sluice',
      SLUICE_NATS_URL: 'http://user:pssst@nats',
    }

    const problems = problemsOf(secrets)

    expect(new Set(problems.map((line) => line.split(' ')[0]))).toEqual(new Set(Object.keys(secrets)))
    expect(problems.join('\n')).not.toContain('pssst')
  })

  it('asks a process with a part of the roles where the others are', () => {
    expect(problemsOf({ SLUICE_ROLES: 'http,mqtt,ws' })).toEqual([
      'SLUICE_NATS_URL must be given, since SLUICE_ROLES leaves api, writer, reader to other processes',
    ])
    expect(problemsOf({ SLUICE_ROLES: 'http,api', SLUICE_NATS_URL: 'nats://nats' })).toEqual([
      'SLUICE_DATABASE_URL must be given, since SLUICE_ROLES leaves mqtt, ws, writer, reader to other processes',
    ])
    expect(problemsOf({ SLUICE_ROLES: 'mqtt', SLUICE_NATS_URL: 'nats://nats' })).toEqual([])
  })

  it('asks for the rest of what TLS needs', () => {
    const demanded = (env: NodeJS.ProcessEnv) => problemsOf(env).map((line) => line.split(',', 1)[0])
    expect(demanded({ SLUICE_TLS_CERT: 'c.pem' })).toEqual(['SLUICE_TLS_KEY must be given'])
    expect(demanded({ SLUICE_TLS_KEY: 'k.pem' })).toEqual(['SLUICE_TLS_CERT must be given'])
    expect(demanded({ SLUICE_TLS_CA: 'a.pem', SLUICE_TLS_CLIENT_AUTH: 'required' })).toEqual([
      'SLUICE_TLS_CERT must be given',
    ])
    const server = { SLUICE_TLS_CERT: 'c.pem', SLUICE_TLS_KEY: 'k.pem' }
    expect(demanded({ ...server, SLUICE_TLS_CLIENT_AUTH: 'required' })).toEqual([
      'SLUICE_TLS_CA must be given',
    ])
    expect(demanded({ ...server, SLUICE_TLS_CRL: 'r.pem' })).toEqual(['SLUICE_TLS_CA must be given'])
    expect(demanded({ ...server, SLUICE_TLS_CA: 'a.pem', SLUICE_TLS_CRL: 'r.pem' })).toEqual([])
  })

  it('opens no port for two settings, and names both of them', () => {
    expect(problemsOf({ SLUICE_HTTP_PORT: '8080,7000', SLUICE_MQTT_PORT: '7000' })).toEqual([
      'SLUICE_MQTT_PORT must not open port 7000, since SLUICE_HTTP_PORT does',
    ])
    const tls = { SLUICE_TLS_CERT: 'c.pem', SLUICE_TLS_KEY: 'k.pem' }
    expect(problemsOf({ ...tls, SLUICE_MQTT_PORT: '8883' })).toEqual([
      'SLUICE_MQTTS_PORT must not open port 8883, since SLUICE_MQTT_PORT does',
    ])
    expect(problemsOf({ SLUICE_COMPAT_PORTS: '1', SLUICE_MQTT_PORT: '9001' })).toEqual([
      'SLUICE_MQTT_PORT must not open port 9001, since SLUICE_COMPAT_PORTS does',
    ])
    expect(problemsOf({ SLUICE_COMPAT_PORTS: '1', SLUICE_HTTP_PORT: '8080,9001' })).toEqual([
      'SLUICE_COMPAT_PORTS must not open port 9001, since SLUICE_HTTP_PORT does',
    ])
    // Any free one, and ports that are not opened.
    expect(problemsOf({ ...tls, SLUICE_MQTT_PORT: '0', SLUICE_MQTTS_PORT: '0' })).toEqual([])
    expect(problemsOf({ SLUICE_HTTP_PORT: '8883' })).toEqual([])
    const urls = { SLUICE_NATS_URL: 'nats://nats', SLUICE_DATABASE_URL: 'postgres://db/sluice' }
    expect(problemsOf({ ...urls, SLUICE_ROLES: 'http', SLUICE_HTTP_PORT: '1883' })).toEqual([])
  })

  it('has each variable once', () => {
    const variables = Object.values(SETTINGS).map(({ variable }) => variable)
    expect(new Set(variables).size).toBe(variables.length)
  })
})
