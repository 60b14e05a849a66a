import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { connectAsync } from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createApi } from '../support/api.ts'
import { createCertificateAuthority } from '../support/certificates.ts'
import type { Issued } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'
import { captureLog } from '../support/log.ts'

const authority = createCertificateAuthority()
const { log, lines } = captureLog()
let folder: string
let settings: Record<string, string>
let ground: Ground
let near: TestGateway
let far: TestGateway

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-tls-'))
  settings = {
    SLUICE_TLS_CERT: join(folder, 'cert.pem'),
    SLUICE_TLS_KEY: join(folder, 'key.pem'),
    SLUICE_TLS_CA: join(folder, 'ca.pem'),
  }
  await install(authority.issue())
  await writeFile(join(folder, 'ca.pem'), authority.cert)
  ground = await startGround()
  near = await startTestGateway(settings, ground, log)
  far = await startTestGateway({ ...settings, SLUICE_ROLES: 'mqtt', SLUICE_DATABASE_URL: '' }, ground)
})
afterAll(async () => {
  await far.stop()
  await near.stop()
  await ground.stop()
  await rm(folder, { recursive: true })
})
beforeEach(() => void lines.splice(0))

async function install({ cert, key }: Issued): Promise<void> {
  await writeFile(join(folder, 'cert.pem'), cert)
  await writeFile(join(folder, 'key.pem'), key)
}

async function signIn(gateway: TestGateway, options: IClientOptions): Promise<MqttClient> {
  const url = `mqtts://127.0.0.1:${gateway.mqttsPort}`
  const device = await connectAsync(url, {
    ca: authority.cert,
    reconnectPeriod: 0,
    protocolVersion: 5,
    ...options,
  })
  onTestFinished(() => void device.end(true))
  return device
}

async function shownSerial(): Promise<number> {
  const socket = connect({ port: near.mqttsPort ?? 0, host: '127.0.0.1', ca: authority.cert })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return Number.parseInt(serialNumber, 16)
}

describe.each([
  ['the process with the database', () => near],
  ['a process of adapters alone', () => far],
])('a device with a certificate at %s', (_where, gatewayOf) => {
  it('publishes without a password, and is gone a second after it was disabled', async () => {
    const api = createApi(near.url)
    const site = await api.given.site()
    const { cert, key } = authority.issue({ cn: site.client.id })
    const device = await signIn(gatewayOf(), { cert, key })
    await device.publishAsync(site.topic, '[{"n":"x","v":1}]', { qos: 1 })
    let isGone = false
    device.on('close', () => (isGone = true))
    await api.expect(200, 'POST', `/${site.domain.id}/clients/${site.client.id}/disable`, {
      token: site.token,
    })
    await eventually('it is gone', () => isGone, 1_000)
    await expect(signIn(gatewayOf(), { cert, key })).rejects.toMatchObject({ code: 0x86 })
  })

  it('is gone a second after its domain was disabled', async () => {
    const api = createApi(near.url)
    const site = await api.given.site()
    const { cert, key } = authority.issue({ uris: [`urn:uuid:${site.client.id}`] })
    const device = await signIn(gatewayOf(), { cert, key })
    let isGone = false
    device.on('close', () => (isGone = true))
    await api.expect(200, 'POST', `/domains/${site.domain.id}/disable`, { token: site.token })
    await eventually('it is gone', () => isGone, 1_000)
  })
})

describe('certificates read again', () => {
  it('are shown from then on, and who is connected stays', async () => {
    const site = await createApi(near.url).given.site()
    const device = await signIn(near, { username: site.client.id, password: site.secret })
    const fresh = authority.issue()
    await install(fresh)
    near.reload?.()
    expect(await shownSerial()).toBe(fresh.serial)
    await device.publishAsync(site.topic, '{}', { qos: 1 })
  })

  it.each([
    ['a certificate that is broken', 'cert.pem', 'SLUICE_TLS_CERT', 'holds no certificate in PEM'],
    ['a key that is broken', 'key.pem', 'SLUICE_TLS_KEY', 'holds no private key in PEM'],
    ['authorities that are broken', 'ca.pem', 'SLUICE_TLS_CA', 'holds no CERTIFICATE in PEM'],
  ])(
    'leave the old ones in place of %s, with an error that says which',
    async (_what, name, variable, reason) => {
      const before = await shownSerial()
      await install(authority.issue())
      await writeFile(join(folder, name), 'not what it was')
      near.reload?.()
      expect(await shownSerial()).toBe(before)
      const [line] = lines.filter((each) => each.includes('the old certificate stays'))
      expect(line).toContain('"level":50')
      expect(line).toContain(`${variable} ${join(folder, name)}: ${reason}`)
      await writeFile(join(folder, 'ca.pem'), authority.cert)
    },
  )
})

describe('a start with certificates that cannot be used', () => {
  it.each([
    [
      'a missing file',
      { SLUICE_TLS_CERT: '/nowhere.pem' },
      'SLUICE_TLS_CERT /nowhere.pem: cannot be read (ENOENT)',
    ],
    [
      'a key as certificate',
      { SLUICE_TLS_CERT: 'key.pem' },
      'SLUICE_TLS_CERT <file>: holds no certificate in PEM',
    ],
    [
      'a certificate as key',
      { SLUICE_TLS_KEY: 'cert.pem' },
      'SLUICE_TLS_KEY <file>: holds no private key in PEM without a passphrase',
    ],
    [
      "somebody else's key",
      { SLUICE_TLS_KEY: 'other.pem' },
      'SLUICE_TLS_KEY <file>: is not the key of the certificate in',
    ],
    [
      'a certificate as list of revoked ones',
      { SLUICE_TLS_CRL: 'ca.pem' },
      'SLUICE_TLS_CRL <file>: holds no X509 CRL in PEM',
    ],
    ['a broken list of revoked ones', { SLUICE_TLS_CRL: 'broken.pem' }, 'SLUICE_TLS_CRL <file>: is refused'],
  ] as [string, Record<string, string>, string][])(
    'with %s ends with one sentence that names it',
    async (_what, given, expected) => {
      await install(authority.issue())
      await writeFile(join(folder, 'other.pem'), authority.issue().key)
      await writeFile(join(folder, 'broken.pem'), '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n')
      const [[variable, name] = ['', '']] = Object.entries(given)
      const file = name.startsWith('/') ? name : join(folder, name)
      const start = startTestGateway({ ...settings, [variable]: file }, ground)
      await expect(start).rejects.toMatchObject({
        name: 'StartError',
        message: expect.stringContaining(expected.replace('<file>', file)),
      })
    },
  )
})
