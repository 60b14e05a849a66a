import { cp, mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { bootstrap } from '../support/bootstrap.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/nats.ts'
import { ROOT, runProgram, startProgram } from '../support/program.ts'

const { needsInstall } = await bootstrap('install')
const { needsBuild } = await bootstrap('build')
const { withLock } = await bootstrap('lock')

describe('whether packages must be installed', () => {
  const lock = {
    '': { version: '1.0.0' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/ours': { version: '1.0.0', optional: true, os: [process.platform], cpu: [process.arch] },
    'node_modules/theirs': { version: '1.0.0', optional: true, os: ['plan9'], cpu: ['mips'] },
  }
  const complete = { 'node_modules/a': { version: '1.0.0' }, 'node_modules/ours': { version: '1.0.0' } }

  it.each([
    ['nothing was ever installed', undefined, true],
    ['all is there that this platform needs', complete, false],
    ['a package is missing', { 'node_modules/ours': { version: '1.0.0' } }, true],
    ["this platform's own package is missing", { 'node_modules/a': { version: '1.0.0' } }, true],
    ['a version is another', { ...complete, 'node_modules/a': { version: '0.9.0' } }, true],
  ])('is told from the record of npm: %s', async (_case, installed, expected) => {
    const root = await temporaryFolder()
    await writeFile(join(root, 'package-lock.json'), JSON.stringify({ packages: lock }))
    if (installed) {
      await mkdir(join(root, 'node_modules'))
      await writeFile(
        join(root, 'node_modules', '.package-lock.json'),
        JSON.stringify({ packages: installed }),
      )
    }

    expect(needsInstall(root)).toBe(expected)
  })
})

describe('the build', { timeout: 120_000 }, () => {
  it('is done again after any change of a source, and only then', async () => {
    const root = await copyOfProject(['senml', 'platform', 'services', 'adapters', 'gateway'])
    const build = () => runProgram(process.execPath, ['bin/docs-config.mjs'], { cwd: root })

    expect(await build()).toMatchObject({ status: 0, stderr: 'Building …\n' })
    expect(needsBuild(root)).toBe(false)
    expect(await build()).toMatchObject({ status: 0, stderr: '' })

    await utimes(join(root, 'platform', 'config.ts'), new Date(0), new Date(0))
    expect(needsBuild(root)).toBe(true)
    await writeFile(join(root, 'platform', 'config.ts'), 'export const broken: string = 1\n')
    const broken = await build()
    expect(broken.status).toBe(1)
    expect(broken.stderr).toContain('sluice: The build failed')
    expect(needsBuild(root)).toBe(true)
  })
})

describe('two commands at once', () => {
  it('prepare the folder one after the other', async () => {
    const file = join(await temporaryFolder(), '.cache', 'prepare.lock')
    let inside = 0
    const body = async () => {
      inside += 1
      expect(inside).toBe(1)
      await new Promise((resolve) => setImmediate(resolve))
      inside -= 1
    }

    await Promise.all([withLock(file, body), withLock(file, body), withLock(file, body)])

    expect(await readdir(join(file, '..'))).toEqual([])
  })

  it('do not wait for one that was killed', async () => {
    const file = join(await temporaryFolder(), 'prepare.lock')
    const { child, ended } = startProgram(process.execPath, ['--version'])
    await ended
    await writeFile(file, String(child.pid))

    expect(await withLock(file, () => Promise.resolve('done'))).toBe('done')
  })
})

describe('npm start without a nats-server to be had', () => {
  it('ends with one sentence and exit status 1, before anything else is done', async () => {
    const root = await copyOfProject([])

    const result = await runProgram(process.execPath, ['bin/start.mjs'], {
      cwd: root,
      env: { PATH: '', SLUICE_NATS_DOWNLOAD_URL: `http://127.0.0.1:${await freePort()}` },
    })

    expect(result.status).toBe(1)
    expect(result.stderr).toMatch(
      /^Fetching nats-server \(once\) …\nsluice: nats-server could not be fetched .* `docker compose up`\.\n$/,
    )
    expect(result.stdout).toBe('')
  })
})

describe('npm test', { timeout: 120_000 }, () => {
  it('passes arguments on and ends with a line that counts, also what failed outside a test', async () => {
    const root = await copyOfProject([])
    const config = "export default { test: { include: ['*.test.js'], exclude: ['left-out.test.js'] } }\n"
    await writeFile(join(root, 'vitest.config.ts'), config)
    await writeFile(
      join(root, 'some.test.js'),
      `import { expect, it } from 'vitest'
       it('sees no setting of a gateway', () => expect(process.env.SLUICE_HTTP_PORT).toBeUndefined())
       it('works in a folder that goes with the run', () => expect(process.env.TMPDIR).toContain('sluice-test-'))
       it('fails', () => expect(1).toBe(2))\n`,
    )
    await writeFile(join(root, 'broken.test.js'), "import './missing.js'\n")
    const env = { SLUICE_NATS_SERVER: inject('natsServer'), SLUICE_HTTP_PORT: '1' }
    const run = (...args: string[]) =>
      runProgram(process.execPath, ['bin/test.mjs', ...args], { cwd: root, env })

    const all = await run()
    const some = await run('some', '-t', 'folder')

    expect(all.status).toBe(1)
    expect(all.stdout.split('\n').slice(-2)).toEqual(['2 passed, 2 failed', ''])
    expect(some.status).toBe(0)
    expect(some.stdout.split('\n').slice(-2)).toEqual(['1 passed, 0 failed', ''])
  })
})

/** The commands and what they read, in a folder of their own; packages are shared. */
async function copyOfProject(folders: readonly string[]): Promise<string> {
  const root = await temporaryFolder()
  const files = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'bin']
  for (const name of [...files, ...folders]) await cp(join(ROOT, name), join(root, name), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  return root
}
