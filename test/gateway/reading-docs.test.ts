import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import { temporaryFolder } from '../support/folder.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { ROOT } from '../support/program.ts'

const run = promisify(execFile)

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(() => gateway.stop())

it('docs/reading.md can be followed command by command, as printed', async () => {
  const text = await readFile(join(ROOT, 'docs/reading.md'), 'utf8')
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block)
  const site = await createApi(gateway.url).given.site()
  const out = await temporaryFolder()
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', blocks.join('\n')], {
    cwd: ROOT,
    env: {
      ...process.env,
      SLUICE_URL: gateway.url,
      DOMAIN: site.domain.id,
      CHANNEL: site.channel.id,
      TOKEN: site.token,
      SECRET: site.secret,
      OUT: out,
    },
  })
  expect(stdout).toContain('"total":60')
  expect(stdout).toContain('"complete":true')
  const csv = await readFile(join(out, 'readings.csv'), 'utf8')
  expect(csv.trimEnd().split('\r\n')).toHaveLength(61)
})
