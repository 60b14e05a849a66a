import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bootstrap } from '../support/bootstrap.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/nats.ts'
import { runProgram } from '../support/program.ts'

const { fetchNatsServer, findNatsServer } = await bootstrap('nats-server')

const WAYS_OUT =
  'Install nats-server 2.9.10 or newer, set SLUICE_NATS_URL to one that runs, or use `docker compose up`.'
const PLATFORM = `${process.platform}-${{ x64: 'amd64', arm64: 'arm64', arm: 'arm7', ia32: '386' }[process.arch as string]}`

/** Something that says it is a nats-server. */
async function placeServer(folder: string, version: string): Promise<string> {
  const path = join(folder, 'nats-server')
  await mkdir(folder, { recursive: true })
  await writeFile(path, `#!/bin/sh\necho 'nats-server: v${version}'\n`)
  await chmod(path, 0o755)
  return path
}

describe('the search for nats-server', () => {
  it('takes the one that is named before all others', async () => {
    const root = await temporaryFolder()
    const named = await placeServer(join(root, 'named'), '2.9.10')
    const onPath = await placeServer(join(root, 'path'), '2.12.0')

    expect(await findNatsServer(root, { SLUICE_NATS_SERVER: named, PATH: join(onPath, '..') })).toBe(named)
  })

  it('refuses a named one that is none, and names the ways out', async () => {
    const root = await temporaryFolder()

    await expect(findNatsServer(root, { SLUICE_NATS_SERVER: '/nowhere', PATH: '' })).rejects.toThrow(
      `SLUICE_NATS_SERVER is /nowhere, which is not a program. ${WAYS_OUT}`,
    )
  })

  it('walks along the PATH past those that are too old', async () => {
    const root = await temporaryFolder()
    const old = join(root, 'old')
    await placeServer(old, '2.9.9')
    const recent = join(root, 'recent')
    await placeServer(recent, '2.10.0')

    expect(await findNatsServer(root, { PATH: `${old}:${recent}` })).toBe(join(recent, 'nats-server'))
    expect(await findNatsServer(root, { PATH: old })).toBeUndefined()
  })

  it('finds the one that was fetched before', async () => {
    const root = await temporaryFolder()
    const cached = await placeServer(join(root, '.cache'), '2.9.10')

    expect(await findNatsServer(root, { PATH: '' })).toBe(cached)
  })
})

describe('the fetching of nats-server from a release', () => {
  it('takes an archive that matches its checksum', async () => {
    const { address } = await serveRelease({ version: '2.11.0' })
    const root = await temporaryFolder()

    const path = await fetchNatsServer(root, { SLUICE_NATS_DOWNLOAD_URL: `${address}/` })

    expect(path).toBe(join(root, '.cache', 'nats-server'))
    expect(await findNatsServer(root, { PATH: '' })).toBe(path)
    expect(await readdir(join(root, '.cache'))).toEqual(['nats-server'])
  })

  it('uses nothing of an archive that does not', async () => {
    const { address, archive } = await serveRelease({ version: '2.11.0', isTampered: true })
    const root = await temporaryFolder()

    await expect(fetchNatsServer(root, { SLUICE_NATS_DOWNLOAD_URL: address })).rejects.toThrow(
      `nats-server could not be fetched (${archive} does not match its checksum in SHA256SUMS and was not used). ${WAYS_OUT}`,
    )
    expect(await readdir(join(root, '.cache'))).toEqual([])
  })

  it('uses no server that is too old', async () => {
    const { address } = await serveRelease({ version: '2.9.9' })
    const root = await temporaryFolder()

    await expect(fetchNatsServer(root, { SLUICE_NATS_DOWNLOAD_URL: address })).rejects.toThrow(
      /older than 2\.9\.10/,
    )
    expect(await readdir(join(root, '.cache'))).toEqual([])
  })

  it('names the ways out when nobody answers', async () => {
    const address = `http://127.0.0.1:${await freePort()}`
    const root = await temporaryFolder()

    await expect(fetchNatsServer(root, { SLUICE_NATS_DOWNLOAD_URL: address })).rejects.toThrow(
      new RegExp(
        `^nats-server could not be fetched \\(${address}/SHA256SUMS cannot be reached: .*\\)\\. Install`,
      ),
    )
  })
})

/** A release of one archive for this platform, on the loopback. */
async function serveRelease(options: { version: string; isTampered?: boolean }) {
  const folder = await temporaryFolder()
  const name = `nats-server-v${options.version}-${PLATFORM}`
  const archive = `${name}.tar.gz`
  await placeServer(join(folder, name), options.version)
  await runProgram('tar', ['-czf', archive, name], { cwd: folder })
  const content = await readFile(join(folder, archive))
  const sum = createHash('sha256').update(content).digest('hex')
  const served = new Map<string, string | Buffer>([
    ['/SHA256SUMS', `${'0'.repeat(64)}  nats-server-v0-plan9-mips.tar.gz\n${sum}  ${archive}\n`],
    [`/${archive}`, options.isTampered ? Buffer.concat([content, Buffer.of(0)]) : content],
  ])
  const server = createServer((request, response) => {
    const body = served.get(request.url ?? '')
    response.writeHead(body === undefined ? 404 : 200).end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, archive }
}
