import { cp, mkdir, readFile, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { cloneDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort, startTestNats } from '../support/nats.ts'
import { ROOT, runProgram, startProgram } from '../support/program.ts'

/** What the Dockerfile does, as plain commands: each stage a folder, `/app` in it. */
async function build(work: string): Promise<string> {
  let stage = ''
  const text = (await readFile(join(ROOT, 'Dockerfile'), 'utf8')).split('\n')
  for (const [name = '', ...words] of text.map((line) => line.split(' '))) {
    if (name === 'FROM') {
      stage = join(work, words.at(-1) ?? '')
      await mkdir(stage, { recursive: true })
    } else if (name === 'COPY') {
      const from = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined
      const source = words.slice(0, -1)
      const target = words.at(-1) ?? ''
      const isFolder = target.endsWith('/')
      for (const path of source) {
        const origin = from === undefined ? join(ROOT, path) : join(work, from, path.replace(/^\/app\//, ''))
        const place = isFolder ? join(stage, target, basename(path)) : join(stage, target)
        await mkdir(dirname(place), { recursive: true })
        await cp(origin, place, { recursive: true })
      }
    } else if (name === 'RUN' && !words.includes('/data')) {
      const { status, stderr } = await runProgram('/bin/sh', ['-c', words.join(' ')], { cwd: stage })
      expect({ command: words.join(' '), status, stderr }).toMatchObject({ status: 0 })
    }
  }
  return stage
}

it('builds an image whose gateway is healthy, without compiler, tests or Postgres in it', async () => {
  const work = await temporaryFolder()
  const image = await build(work)
  await rm(join(work, 'build'), { recursive: true })
  const [database, nats, port] = await Promise.all([cloneDatabase(), startTestNats(), freePort()])
  onTestFinished(async () => {
    await nats.stop()
    await database.drop()
  })
  const env = {
    NODE_ENV: 'production',
    SLUICE_DATABASE_URL: database.url,
    SLUICE_NATS_URL: nats.url,
    SLUICE_DATA_DIR: join(work, 'data'),
    SLUICE_HTTP_PORT: String(port),
    SLUICE_MQTT_PORT: '0',
  }
  const health = () => runProgram(process.execPath, ['bin/healthcheck.mjs'], { cwd: image, env })
  expect((await health()).status).toBe(1)

  const gateway = startProgram(process.execPath, ['bin/run.mjs'], { cwd: image, env })
  onTestFinished(async () => {
    gateway.child.kill('SIGTERM')
    expect((await gateway.ended).status).toBe(0)
  })

  await eventually('the gateway is healthy', async () => (await health()).status === 0)
  const { stdout } = await runProgram('ls', ['node_modules'], { cwd: image })
  expect(stdout.split('\n')).toEqual(expect.not.arrayContaining(['typescript', 'vitest']))
})
