import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { readIntoShared } from '../../platform/shared-reads.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** Both ends of a connection; the accepting one reads into the shared buffer. */
async function connectPair(): Promise<{ device: Socket; accepted: Socket }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const device = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [Socket]
  closers.push(() => {
    device.destroy()
    accepted.destroy()
    server.close()
  })
  // Should a Node come that has it no more, this tells: everything would work, at the old price.
  expect(readIntoShared(accepted)).toBe(true)
  return { device, accepted }
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

describe('sockets that read into one buffer', () => {
  it('get what was sent to each of them, whatever comes to the others', async () => {
    const pairs = await Promise.all(Array.from({ length: 8 }, connectPair))
    const sent = pairs.map(() => randomBytes(500_000))
    const received = Promise.all(pairs.map(({ accepted }) => readAll(accepted)))
    for (const [index, { device }] of pairs.entries()) device.end(sent[index] as Buffer)
    for (const [index, bytes] of (await received).entries())
      expect(bytes.equals(sent[index] as Buffer)).toBe(true)
  })

  it('keep what they were given while more is read', async () => {
    const { device, accepted } = await connectPair()
    const chunks: Buffer[] = []
    accepted.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      device.write(String(chunks.length))
    })
    device.write('0')
    while (chunks.length < 9) await once(accepted, 'data')
    expect(Buffer.concat(chunks.slice(0, 9)).toString()).toBe('012345678')
  })

  it('stop reading when they are paused, and go on where they were', async () => {
    const [paused, other] = await Promise.all([connectPair(), connectPair()])
    const { device, accepted } = paused
    accepted.pause()
    const sent = randomBytes(4_000_000)
    device.end(sent)
    // What is sent after it has been read.
    other.device.end('later')
    expect((await readAll(other.accepted)).toString()).toBe('later')
    expect(accepted.bytesRead).toBe(0)
    expect((await readAll(accepted)).equals(sent)).toBe(true)
  })

  it('are left as they are when they have it already', async () => {
    const { accepted } = await connectPair()
    expect(readIntoShared(accepted)).toBe(false)
  })
})
