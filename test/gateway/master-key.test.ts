import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadMasterKey } from '../../gateway/master-key.ts'
import { StartError } from '../../gateway/start-error.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-key-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('the master key', () => {
  it('is the configured one, and nothing is written then', async () => {
    const configured = new Uint8Array(32).fill(7)
    expect(loadMasterKey(configured, folder)).toBe(configured)
    expect(await readdir(folder)).toEqual([])
  })

  it('is made once, readable by its owner alone, and the same at every start', async () => {
    const data = join(folder, 'data')
    const first = loadMasterKey(undefined, data)
    expect(first.byteLength).toBe(32)
    expect(loadMasterKey(undefined, data)).toEqual(first)
    expect(await readdir(data)).toEqual(['secret.key'])
    expect((await stat(join(data, 'secret.key'))).mode & 0o777).toBe(0o600)
    expect((await readFile(join(data, 'secret.key'), 'utf8')).trim()).toBe(Buffer.from(first).toString('hex'))
  })

  it('that is not whole stops the start in one sentence', async () => {
    await writeFile(join(folder, 'secret.key'), 'abc')
    expect(() => loadMasterKey(undefined, folder)).toThrow(StartError)
  })
})
