import { createHash } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from './failure.mjs'
import { runProgram } from './process.mjs'

const VERSION = 'v2.11.17'
const RELEASE = `https://github.com/nats-io/nats-server/releases/download/${VERSION}`
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64', arm: 'arm7', ia32: '386' }

/** Fetches the release archive of this platform, checks it against the release's own SHA256SUMS and unpacks it. */
export async function fetchRelease(work, env) {
  const base = (env.SLUICE_NATS_DOWNLOAD_URL || RELEASE).replace(/\/+$/, '')
  const sums = (await download(`${base}/SHA256SUMS`)).toString('utf8')
  const suffix = `-${process.platform}-${ARCHITECTURES[process.arch]}.tar.gz`
  // The name is taken from the list, so that another address may serve another version.
  const [, wanted, name] =
    sums
      .split('\n')
      .map((line) => /^([0-9a-f]{64})\s+\*?(nats-server-v[\w.-]+)$/.exec(line.trim()))
      .find((match) => match?.[2].endsWith(suffix)) ?? []
  if (name === undefined) throw new Failure(`${base}/SHA256SUMS names no archive that ends in ${suffix}`)
  const archive = await download(`${base}/${name}`)
  if (createHash('sha256').update(archive).digest('hex') !== wanted) {
    throw new Failure(`${name} does not match its checksum in SHA256SUMS and was not used`)
  }
  writeFileSync(join(work, name), archive)
  const { status, text } = await runProgram('tar', ['-xzf', name], { cwd: work, quiet: true })
  if (status !== 0) throw new Failure(`${name} cannot be unpacked: ${text.trim()}`)
  const binary = readdirSync(work, { recursive: true }).find((path) => path.endsWith('/nats-server'))
  if (binary === undefined) throw new Failure(`${name} holds no nats-server`)
  return join(work, binary)
}

async function download(address) {
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(120_000) })
    if (response.ok) return Buffer.from(await response.arrayBuffer())
    throw new Failure(`${address} answers ${response.status}`)
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(`${address} cannot be reached: ${error.cause?.message ?? error.message}`)
  }
}
