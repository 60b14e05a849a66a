import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(() => gateway.stop())

describe('the README', () => {
  it('walks a newcomer from nothing to stored messages, every command as printed', async () => {
    const readme = await readFile(`${root}/README.md`, 'utf8')
    const [, walk] = /<!-- walk:[^>]*-->\s*```sh\n([\s\S]*?)```/.exec(readme) ?? []
    if (walk === undefined) throw new Error('the README has no walk')
    const env = { ...process.env, SLUICE_URL: gateway.url, SLUICE_MQTT: new URL(gateway.mqttUrl).port }
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', walk], { cwd: root, env })
    const last = JSON.parse(stdout.slice(stdout.lastIndexOf('{"offset"'))) as {
      total: number
      messages: Record<string, unknown>[]
    }
    expect(last.total).toBe(3)
    expect(
      last.messages.map(({ name, protocol, subtopic, value, bool_value }) => [
        name,
        protocol,
        subtopic,
        value ?? bool_value,
      ]),
    ).toEqual([
      ['temperature', 'http', 'flow', 71.5],
      ['running', 'http', 'flow', true],
      ['temperature', 'mqtt', 'return', 54.25],
    ])
  })

  it('names files that are there', async () => {
    const readme = await readFile(`${root}/README.md`, 'utf8')
    for (const [, target = ''] of readme.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      await readFile(`${root}/${target}`).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EISDIR') throw error
      })
    }
  })
})
