import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { commandLine, identify } from '../../gateway/embedded/process-identity.ts'
import { createCertificateAuthority } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/nats.ts'
import { runProgram, startProgram } from '../support/program.ts'
import type { Program } from '../support/program.ts'

function settings(dataDir: string): NodeJS.ProcessEnv {
  return {
    SLUICE_DATA_DIR: dataDir,
    SLUICE_HTTP_PORT: '0',
    SLUICE_MQTT_PORT: '0',
    SLUICE_NATS_SERVER: inject('natsServer'),
    SLUICE_LOG_LEVEL: 'debug',
  }
}

/** Starts the gateway and waits for its banner. */
async function start(dataDir: string, given: NodeJS.ProcessEnv = {}): Promise<Program> {
  const env = { ...settings(dataDir), ...given }
  const gateway = startProgram(process.execPath, ['bin/start.mjs'], { env })
  onTestFinished(async () => {
    gateway.child.kill('SIGKILL')
    await gateway.ended
  })
  await eventually(
    'the banner',
    () => gateway.output.stdout.includes('Try it:') || gateway.child.exitCode !== null,
    TIMEOUT_MS,
  )
  expect(gateway.output.stderr).not.toContain('"level":"error"')
  expect(gateway.child.exitCode).toBeNull()
  return gateway
}

/** The servers that work in a data folder, by their command lines. */
async function serversIn(dataDir: string): Promise<number[]> {
  const pids =
    process.platform === 'linux'
      ? await readdir('/proc') // There is no ps in a slim container.
      : (await runProgram('ps', ['-A', '-o', 'pid='])).stdout.split('\n')
  return pids
    .map(Number)
    .filter((pid) => pid > 0 && commandLine(pid).includes(dataDir) && identify(pid) !== undefined)
}

/** The first start may build; on a busy machine that takes its time. */
const TIMEOUT_MS = 120_000

describe('npm start', { timeout: TIMEOUT_MS }, () => {
  it('comes up again after kill -9, and leaves nothing running after SIGTERM', async () => {
    const dataDir = join(await temporaryFolder(), 'data')
    const first = await start(dataDir)
    expect(first.output.stdout).toContain('shown this once')
    expect(await serversIn(dataDir)).toHaveLength(2)

    first.child.kill('SIGKILL')
    await first.ended
    const second = await start(dataDir)
    expect(second.output.stdout).not.toContain('shown this once')

    second.child.kill('SIGTERM')
    expect((await second.ended).status).toBe(0)
    expect(await serversIn(dataDir)).toEqual([])
  })

  it('gives its start up on SIGTERM, leaves nothing running, and comes up the next time', async () => {
    const dataDir = join(await temporaryFolder(), 'data')
    const first = startProgram(process.execPath, ['bin/start.mjs'], { env: settings(dataDir) })
    onTestFinished(() => void first.child.kill('SIGKILL'))
    // The first of its own servers is there; making the database takes longer.
    await eventually('a server', async () => (await serversIn(dataDir)).length > 0, TIMEOUT_MS)

    first.child.kill('SIGTERM')
    const { status, stdout } = await first.ended
    expect(status).toBe(0)
    expect(stdout).not.toContain('Try it:')
    expect(await serversIn(dataDir)).toEqual([])

    const second = await start(dataDir)
    expect(second.output.stdout).toContain('shown this once')
  })

  it('reads certificates again on SIGHUP, and goes on', async () => {
    const folder = await temporaryFolder()
    const { cert, key } = createCertificateAuthority().issue()
    const files = { SLUICE_TLS_CERT: join(folder, 'cert.pem'), SLUICE_TLS_KEY: join(folder, 'key.pem') }
    await writeFile(files.SLUICE_TLS_CERT, cert)
    await writeFile(files.SLUICE_TLS_KEY, key)
    const gateway = await start(join(folder, 'data'), { ...files, SLUICE_MQTTS_PORT: '0' })
    expect(gateway.output.stdout).toMatch(/mqtts:\/\/127\.0\.0\.1:\d+/)

    gateway.child.kill('SIGHUP')

    await eventually('it says so', () => gateway.output.stderr.includes('certificate read again'))
    gateway.child.kill('SIGTERM')
    expect((await gateway.ended).status).toBe(0)
  })

  it('leaves no server running when it is killed and not started again', async () => {
    const dataDir = join(await temporaryFolder(), 'data')
    const gateway = await start(dataDir)

    gateway.child.kill('SIGKILL')

    await eventually('the servers end', async () => (await serversIn(dataDir)).length === 0)
  })

  it('refuses a data folder that another gateway works in, which goes on unharmed', async () => {
    const dataDir = join(await temporaryFolder(), 'data')
    const first = await start(dataDir)

    const second = await runProgram(process.execPath, ['bin/start.mjs'], {
      env: { ...settings(dataDir), SLUICE_LOG_LEVEL: 'error' },
    })

    expect(second).toMatchObject({ status: 1, stdout: '' })
    expect(second.stderr).toBe(
      `The data folder ${dataDir} is in use by process ${first.child.pid}; stop that one first.\n`,
    )
    expect(first.child.exitCode).toBeNull()
    expect(await serversIn(dataDir)).toHaveLength(2)
  })

  it('says in one sentence that the data folder cannot be used', async () => {
    const result = await runProgram(process.execPath, ['bin/start.mjs'], { env: settings('/dev/null/data') })

    expect(result.status).toBe(1)
    expect(result.stderr).toMatch(
      /^The data folder \/dev\/null\/data cannot be used \(.*\); choose another .*\.\n$/,
    )
  })

  it('says in one sentence that the Postgres it was told to use does not answer', async () => {
    const result = await runProgram(process.execPath, ['bin/start.mjs'], {
      env: {
        ...settings(await temporaryFolder()),
        SLUICE_LOG_LEVEL: 'error',
        SLUICE_DATABASE_URL: `postgres://someone:pssst@127.0.0.1:${await freePort()}/sluice`,
      },
    })

    expect(result.status).toBe(1)
    expect(result.stderr).toMatch(/^the database is not available: connect ECONNREFUSED 127\.0\.0\.1:\d+$/m)
  })

  it.each([
    ['HTTP', 'SLUICE_HTTP_PORT'],
    ['MQTT', 'SLUICE_MQTT_PORT'],
  ])(
    'says in one sentence that the port of %s is taken, and leaves nothing running',
    async (_name, variable) => {
      const dataDir = join(await temporaryFolder(), 'data')
      const other = createServer().listen(0, '127.0.0.1')
      await once(other, 'listening')
      onTestFinished(() => void other.close())
      const { port } = other.address() as AddressInfo

      const result = await runProgram(process.execPath, ['bin/start.mjs'], {
        env: { ...settings(dataDir), SLUICE_LOG_LEVEL: 'error', [variable]: String(port) },
      })

      expect(result.status).toBe(1)
      expect(result.stderr.trimEnd().split('\n')).toEqual([expect.stringContaining(String(port))])
      expect(await serversIn(dataDir)).toEqual([])
    },
  )

  it('names every problem of the configuration at once', async () => {
    const result = await runProgram(process.execPath, ['bin/start.mjs'], {
      env: { ...settings('data'), SLUICE_MQTT_PORT: 'x', SLUICE_ROLES: 'y' },
    })

    expect(result.status).toBe(1)
    expect(result.stderr).toMatch(/SLUICE_ROLES must be[^]*SLUICE_MQTT_PORT must be/)
  })
})
