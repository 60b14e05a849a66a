import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { SETTINGS } from '../../platform/config-schema.ts'
import { ROOT } from '../support/program.ts'

interface Service {
  readonly image?: string
  readonly build?: string
  readonly environment?: Record<string, string>
  readonly ports?: string[]
  readonly volumes: string[]
  readonly depends_on?: Record<string, { condition: string }>
  readonly healthcheck?: { test: string[] }
  readonly restart: string
}

interface Compose {
  readonly services: Record<'postgres' | 'nats' | 'sluice', Service>
  readonly volumes: Record<string, null>
}

const read = (name: string) => readFile(join(ROOT, name), 'utf8')
const variables: string[] = Object.values(SETTINGS).map(({ variable }) => variable)

describe('docker-compose.yml', async () => {
  const text = await read('docker-compose.yml')
  const { services, volumes } = parse(text) as Compose

  it('starts Postgres, NATS with JetStream and one gateway', () => {
    expect(Object.keys(services)).toEqual(['postgres', 'nats', 'sluice'])
    expect(services.postgres.image).toMatch(/^postgres:/)
    expect(services.nats.image).toMatch(/^nats:/)
    expect(text).toContain('--jetstream')
    expect(services.sluice.build).toBe('.')
  })

  it('publishes the ports of the gateway alone', () => {
    expect(services.postgres.ports).toBeUndefined()
    expect(services.nats.ports).toBeUndefined()
    expect(services.sluice.ports).toEqual(['8080:8080', '1883:1883', '8883:8883'])
  })

  it('starts the gateway when the others are healthy, and all of them again when they fall', () => {
    expect(services.sluice.depends_on).toEqual({
      postgres: { condition: 'service_healthy' },
      nats: { condition: 'service_healthy' },
    })
    for (const { restart } of Object.values(services)) expect(restart).toBe('unless-stopped')
    expect(services.postgres.healthcheck?.test[0]).toBe('CMD')
    expect(services.nats.healthcheck?.test[0]).toBe('CMD')
  })

  it('keeps data in volumes that it declares', () => {
    const used = Object.values(services).flatMap((service) => service.volumes.map((v) => v.split(':')[0]))
    expect(used).toEqual(Object.keys(volumes))
  })

  it('asks for every password instead of having one', () => {
    const [postgres, nats] = ['POSTGRES_PASSWORD', 'NATS_PASSWORD'].map((name) => `\${${name}:?must be set}`)
    expect(services.postgres.environment?.['POSTGRES_PASSWORD']).toBe(postgres)
    expect(text).toContain(`--pass=${nats}`)
  })

  it('sets what the gateway knows', () => {
    const set = Object.keys(services.sluice.environment ?? {})
    expect(set.filter((name) => !variables.includes(name))).toEqual([])
    expect(set).toEqual(expect.arrayContaining(['SLUICE_DATABASE_URL', 'SLUICE_NATS_URL']))
  })
})

describe('Dockerfile', async () => {
  const instructions = (await read('Dockerfile'))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ name: line.split(' ')[0] ?? '', rest: line.slice(line.indexOf(' ') + 1) }))
  const start = instructions.findLastIndex(({ name }) => name === 'FROM')
  const last = instructions.slice(start)
  const valueOf = (name: string) => last.findLast((instruction) => instruction.name === name)?.rest ?? ''

  it('copies nothing that is not there, or that .dockerignore keeps out', async () => {
    const kept = (await read('.dockerignore')).split('\n').map((line) => line.replace(/^!/, ''))
    const sources = instructions
      .filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from'))
      .flatMap(({ rest }) => rest.split(' ').slice(0, -1))
    expect(sources.filter((source) => !existsSync(join(ROOT, source)))).toEqual([])
    expect(sources.filter((source) => !kept.includes(source))).toEqual([])
  })

  it('compiles every folder that the build reads', async () => {
    const { include } = JSON.parse(await read('tsconfig.build.json')) as { include: string[] }
    const copied = instructions.filter(({ name }) => name === 'COPY').map(({ rest }) => rest.split(' ')[0])
    expect(copied).toEqual(expect.arrayContaining(include))
  })

  it('names the ports that a gateway opens', () => {
    const { httpPorts, mqttPort, mqttsPort } = SETTINGS
    expect(valueOf('EXPOSE')).toBe([httpPorts, mqttPort, mqttsPort].map((each) => each.fallback).join(' '))
  })

  it('runs the compiled gateway as somebody who is not root, and asks it for its health', () => {
    expect(valueOf('USER')).toBe('node')
    expect(JSON.parse(valueOf('CMD'))).toEqual(['node', 'bin/run.mjs'])
    expect(valueOf('HEALTHCHECK')).toContain('bin/healthcheck.mjs')
    const set = [...valueOf('ENV').matchAll(/(SLUICE_\w+)=/g)].map(([, name]) => name ?? '')
    expect(set.filter((name) => !variables.includes(name))).toEqual([])
  })

  it('leaves the compiler and the tests out of the image', () => {
    const packages = instructions.findIndex(({ rest }) => rest.endsWith(' AS packages'))
    const install = instructions.slice(packages).find(({ rest }) => rest.startsWith('npm ci'))
    expect(install?.rest).toContain('--omit=dev')
    expect(valueOf('COPY')).not.toContain('test')
  })
})
