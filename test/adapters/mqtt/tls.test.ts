import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { listenMqtt } from '../../../adapters/mqtt/listen.ts'
import type { MqttListener } from '../../../adapters/mqtt/listen.ts'
import type { TlsSettings } from '../../../adapters/mqtt/tls-entrance.ts'
import type { Bus } from '../../../platform/bus/connect.ts'
import { loadTls } from '../../../platform/tls.ts'
import type { TlsIdentity } from '../../../platform/tls.ts'
import type { Channel, Client } from '../../support/authority.ts'
import { announce } from '../../support/authority.ts'
import { createCertificateAuthority } from '../../support/certificates.ts'
import type { Issued } from '../../support/certificates.ts'
import { captureLog } from '../../support/log.ts'
import { addMember, collect, connectClient, connectPacket, encode, eventually, LIMITS } from './support.ts'
import { startMqttGateway, topicOf, useGateway } from './support.ts'
import type { TestGateway } from './support.ts'

let gateway: TestGateway
let bus: Bus
useGateway((started, testBus) => {
  gateway = started
  bus = testBus.bus
})

const authority = createCertificateAuthority()
const foreign = createCertificateAuthority('Foreign authority')
const server = authority.issue()
let folder: string
let channel: Channel
let client: Client
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-tls-'))
})
afterAll(() => rm(folder, { recursive: true }))
beforeEach(() => {
  channel = gateway.tables.addChannel()
  client = addMember(gateway.tables, channel)
})

let files = 0
async function identityOf({ cert, key }: Issued, crl?: string, ca = authority.cert): Promise<TlsIdentity> {
  const paths = { cert: join(folder, `c${(files += 1)}.pem`), key: join(folder, `k${files}.pem`) }
  const crlPath = crl === undefined ? undefined : join(folder, `r${files}.pem`)
  const caPath = join(folder, `a${files}.pem`)
  await writeFile(caPath, ca)
  await writeFile(paths.cert, cert)
  await writeFile(paths.key, key)
  if (crlPath !== undefined) await writeFile(crlPath, crl ?? '')
  return loadTls({ ...paths, ca: caPath, crl: crlPath })
}

async function listen(given: Partial<TlsSettings> = {}, { adapter } = gateway): Promise<MqttListener> {
  const listener = await listenMqtt(adapter, {
    host: '127.0.0.1',
    port: 0,
    log: captureLog().log,
    tls: {
      identity: given.identity ?? (await identityOf(server)),
      clientAuth: 'optional',
      handshakeTimeoutMs: 5_000,
      ...given,
    },
  })
  onTestFinished(() => listener.stop())
  return listener
}

async function signIn(
  { port }: MqttListener,
  options: IClientOptions & ConnectionOptions = {},
): Promise<MqttClient> {
  const device = await connectAsync(`mqtts://127.0.0.1:${port}`, {
    ca: authority.cert,
    reconnectPeriod: 0,
    protocolVersion: 5,
    ...options,
  })
  onTestFinished(() => void device.end(true))
  return device
}

/** A TLS connection that speaks no MQTT by itself. */
async function shakeHands({ port }: MqttListener, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert, ...options })
  socket.on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/** Says CONNECT with the right secret. Resolves when the connection is closed, and not a byte of MQTT came back. */
async function expectClosed(listener: MqttListener, options: ConnectionOptions = {}): Promise<void> {
  const device = await shakeHands(listener, options)
  const answer: Buffer[] = []
  device.on('data', (bytes: Buffer) => answer.push(bytes))
  device.write(encode(5, connectPacket(5, client)))
  await once(device, 'close')
  expect(answer).toEqual([])
}

const secretOf = ({ id, secret }: Client) => ({ username: id, password: secret })
const refusals = (reason: string) => gateway.metrics.refused('mqtt', reason).value

describe('the port with TLS', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('takes devices with %s', async (version) => {
    const listener = await listen()
    const device = await signIn(listener, { ...secretOf(client), minVersion: version, maxVersion: version })
    const other = await connectClient(gateway, client, { clientId: 'other' })
    onTestFinished(() => void other.end(true))
    const received = collect(other)
    await other.subscribeAsync(topicOf(channel), { qos: 1 })
    await device.publishAsync(topicOf(channel), 'hello', { qos: 1 })
    await eventually(() => expect(received.map(({ payload }) => payload)).toEqual(['hello']))
  })

  it('refuses older versions', async () => {
    const listener = await listen()
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    await expect(shakeHands(listener, old)).rejects.toThrow(/protocol version|alert/)
  })

  it('refuses bad credentials as the plain port does', async () => {
    const listener = await listen()
    await expect(signIn(listener, { username: client.id, password: 'wrong' })).rejects.toMatchObject({
      code: 0x86,
    })
  })

  it('shows a renewed certificate to who comes then, and lets who is there stay', async () => {
    const listener = await listen()
    const device = await signIn(listener, secretOf(client))
    const fresh = authority.issue()
    listener.renew(await identityOf(fresh))
    const socket = await shakeHands(listener)
    expect(Number.parseInt(socket.getPeerCertificate().serialNumber, 16)).toBe(fresh.serial)
    await device.publishAsync(topicOf(channel), 'still there', { qos: 1 })
  })

  it('gives who does not speak no more than the time for the handshake, nor more connections', async () => {
    const listener = await listen({ handshakeTimeoutMs: 500 })
    const before = refusals('too_many_unauthenticated')
    const silent = Array.from({ length: LIMITS.maxUnauthenticatedPerAddress }, () =>
      connectTcp(listener.port, '127.0.0.1'),
    )
    onTestFinished(() => silent.forEach((socket) => socket.destroy()))
    await Promise.all(silent.map((socket) => once(socket, 'connect')))
    const ends = silent.map((socket) => once(socket.resume(), 'close'))
    const oneMore = connectTcp(listener.port, '127.0.0.1').on('error', () => undefined)
    await once(oneMore, 'close')
    expect(refusals('too_many_unauthenticated')).toBe(before + 1)
    await Promise.all(ends)
    // And there is room again.
    await signIn(listener, secretOf(client))
  })

  it('ends connections over its rate before they have cost a handshake', async () => {
    const slow = await startMqttGateway(bus, { tables: gateway.tables, limits: { maxConnectsPerS: 0.001 } })
    onTestFinished(() => slow.stop())
    const listener = await listen({}, slow)
    await signIn(listener, secretOf(client))
    await expect(shakeHands(listener)).rejects.toThrow(/before secure TLS|ECONNRESET/)
    expect(slow.metrics.refused('mqtt', 'connect_rate').value).toBe(1)
  })

  it('survives what is no TLS, also in the middle of a handshake', async () => {
    const listener = await listen()
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\xff\xff\x01', '\x10\x0c\0\x04MQTT']) {
      const socket = connectTcp(listener.port, '127.0.0.1').on('error', () => undefined)
      socket.end(bytes)
      socket.resume()
      await once(socket, 'close')
    }
    expect(refusals('tls_handshake')).toBeGreaterThan(0)
    await signIn(listener, secretOf(client))
  })

  it('ends the handshakes under way when it stops', async () => {
    const listener = await listen()
    const socket = connectTcp(listener.port, '127.0.0.1')
    await once(socket, 'connect')
    // The second connection is accepted after the first, so that is in its handshake by now.
    await shakeHands(listener)
    await listener.stop()
    await once(socket.resume(), 'close')
  })
})

describe('a client certificate', () => {
  const asCn = (id: string) => authority.issue({ cn: id })

  it.each([
    ['its common name', (id: string) => ({ cn: id })],
    ['its common name in capitals', (id: string) => ({ cn: id.toUpperCase() })],
    ['a URI', (id: string) => ({ cn: 'Boiler', uris: ['https://example.com', `urn:uuid:${id}`] })],
    ['a bare id as URI', (id: string) => ({ uris: [id] })],
  ])('that names the client in %s is enough to sign in', async (_where, wishes) => {
    const device = await signIn(await listen(), authority.issue(wishes(client.id)))
    await device.publishAsync(topicOf(channel), 'x', { qos: 1 })
  })

  it('goes with the user name of its client', async () => {
    await signIn(await listen(), { ...asCn(client.id), username: client.id })
  })

  it("does not open other clients' doors, not even with the secret", async () => {
    const other = addMember(gateway.tables, channel)
    const listener = await listen()
    for (const credentials of [secretOf(other), { username: other.id }, { username: 'somebody' }]) {
      await expect(signIn(listener, { ...asCn(client.id), ...credentials })).rejects.toMatchObject({
        code: 0x86,
      })
    }
  })

  it('is nothing for a client that is disabled or does not exist', async () => {
    const listener = await listen()
    client.isEnabled = false
    for (const id of [client.id, '00000000-0000-4000-8000-000000000000']) {
      await expect(signIn(listener, asCn(id))).rejects.toMatchObject({ code: 0x86 })
    }
  })

  it('keeps the connection through a new secret, and not through the end of its client', async () => {
    const device = await signIn(await listen(), asCn(client.id))
    const ended = new Promise<void>((resolve) => device.once('close', () => resolve()))
    const event = { domain_id: client.domainId, entity_id: client.id }
    await announce(gateway.bus, { operation: 'client.update_secret', ...event })
    await device.publishAsync(topicOf(channel), 'x', { qos: 1 })
    client.isEnabled = false
    await announce(gateway.bus, { operation: 'client.disable', ...event })
    await ended
  })

  it('that names no client opens the connection alone: user name and password count', async () => {
    const listener = await listen({ clientAuth: 'required' })
    await signIn(listener, { ...authority.issue({ cn: 'Plant 7' }), ...secretOf(client) })
    await expect(signIn(listener, authority.issue({ cn: 'Plant 7' }))).rejects.toMatchObject({ code: 0x86 })
  })

  it.each([
    ['has expired', () => authority.issue({ cn: client.id, days: -1 })],
    ['is signed by somebody else', () => foreign.issue({ cn: client.id })],
    ['names two clients', () => authority.issue({ cn: [client.id, crypto.randomUUID()] })],
    [
      'names two clients as URIs',
      () => authority.issue({ uris: [client.id, `urn:uuid:${crypto.randomUUID()}`] }),
    ],
  ])('that %s ends the connection before MQTT begins', async (_why, issue) => {
    const listener = await listen()
    const before = refusals('certificate_refused')
    await expectClosed(listener, issue())
    expect(refusals('certificate_refused')).toBe(before + 1)
  })

  it('is not needed where it is optional, and is where it is required', async () => {
    await signIn(await listen(), secretOf(client))
    const strict = await listen({ clientAuth: 'required' })
    const before = refusals('certificate_missing')
    await expectClosed(strict)
    expect(refusals('certificate_missing')).toBe(before + 1)
  })

  it('that is revoked is refused once the list is read', async () => {
    const revoked = asCn(client.id)
    const fine = asCn(client.id)
    const listener = await listen({ identity: await identityOf(server, authority.revoke()) })
    const device = await shakeHands(listener, revoked)
    const gotSession = once(device, 'session') as Promise<[Buffer]>
    device.write(encode(5, connectPacket(5, client, { username: undefined, password: undefined })))
    const [session] = await gotSession
    listener.renew(await identityOf(server, authority.revoke(revoked.serial)))
    await expectClosed(listener, revoked)
    // Nor does it help to go on with the session from before.
    await expectClosed(listener, { ...revoked, session })
    await signIn(listener, { ...fine, clientId: 'fine' })
  })

  it('that expires ends its connection, and no other', async () => {
    const listener = await listen()
    const other = await signIn(listener, { ...asCn(client.id), clientId: 'other' })
    const device = await signInForShort(listener)
    await eventually(() => expect(device.connected).toBe(false))
    await other.publishAsync(topicOf(channel), 'still there', { qos: 1 })
  })

  /** With a certificate that holds just long enough to come in. */
  async function signInForShort(listener: MqttListener): Promise<MqttClient> {
    for (let seconds = 1; ; seconds *= 2) {
      const certificate = authority.issue({ cn: client.id, days: seconds / 86_400 })
      const device = await signIn(listener, { ...certificate, clientId: 'short' }).catch(() => undefined)
      if (device) return device
    }
  }

  const reasonOfEnd = (device: MqttClient) =>
    new Promise<number | undefined>((resolve) =>
      device.once('disconnect', ({ reasonCode }) => resolve(reasonCode)),
    )

  it('that is revoked ends its connection once the list is read, and no other', async () => {
    const listener = await listen({ identity: await identityOf(server, authority.revoke()) })
    const revoked = asCn(client.id)
    const other = await signIn(listener, { ...asCn(client.id), clientId: 'other' })
    const device = await signIn(listener, { ...revoked, clientId: 'revoked' })
    const reason = reasonOfEnd(device)
    listener.renew(await identityOf(server, authority.revoke(999, revoked.serial)))
    expect(await reason).toBe(0x87)
    await other.publishAsync(topicOf(channel), 'still there', { qos: 1 })
  })

  it('of an authority that is believed no more ends its connection, and no other', async () => {
    const branch = authority.appoint('Branch')
    const both = authority.cert + foreign.cert
    const listener = await listen({ identity: await identityOf(server, undefined, both) })
    const viaBranch = branch.issue({ cn: client.id })
    const chain = { cert: viaBranch.cert + branch.cert, key: viaBranch.key, clientId: 'branch' }
    const other = await signIn(listener, chain)
    const device = await signIn(listener, { ...foreign.issue({ cn: client.id }), clientId: 'foreign' })
    const reason = reasonOfEnd(device)
    listener.renew(await identityOf(server))
    expect(await reason).toBe(0x87)
    await other.publishAsync(topicOf(channel), 'still there', { qos: 1 })
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('counts in a session resumed with %s too', async (version) => {
    const listener = await listen()
    const options = { ...asCn(client.id), minVersion: version, maxVersion: version }
    const first = await shakeHands(listener, options)
    const gotSession = once(first, 'session') as Promise<[Buffer]>
    first.write(encode(5, connectPacket(5, client, { username: undefined, password: undefined })))
    const session = version === 'TLSv1.2' ? first.getSession() : (await gotSession)[0]
    first.destroy()
    const resumed = await shakeHands(listener, { minVersion: version, maxVersion: version, session })
    expect(resumed.isSessionReused()).toBe(true)
    resumed.write(encode(5, connectPacket(5, client, { username: undefined, password: undefined })))
    const [connack] = (await once(resumed, 'data')) as [Buffer]
    expect([connack[0], connack[3]]).toEqual([0x20, 0])
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'is missing in a session that began without one and is resumed with %s',
    async (version) => {
      const listener = await listen()
      const versions = { minVersion: version, maxVersion: version }
      const first = await shakeHands(listener, versions)
      const gotSession = once(first, 'session') as Promise<[Buffer]>
      first.write(encode(5, connectPacket(5, client)))
      const session = version === 'TLSv1.2' ? first.getSession() : (await gotSession)[0]
      const resumed = await shakeHands(listener, { ...versions, ...asCn(client.id), session })
      expect(resumed.isSessionReused()).toBe(true)
      resumed.write(encode(5, connectPacket(5, client, { username: undefined, password: undefined })))
      const [connack] = (await once(resumed, 'data')) as [Buffer]
      expect([connack[0], connack[3]]).toEqual([0x20, 0x86])
    },
  )
})
