import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { claimPart } from '../../../gateway/embedded/claim.ts'
import { identify } from '../../../gateway/embedded/process-identity.ts'
import { StartError } from '../../../gateway/start-error.ts'
import { temporaryFolder } from '../../support/folder.ts'

describe('a part of the data folder', () => {
  it('belongs to one process until it is released', async () => {
    const dataDir = join(await temporaryFolder(), 'made', 'on the way')
    const claim = await claimPart(dataDir, 'nats')

    await expect(claimPart(dataDir, 'nats')).rejects.toThrow(
      new StartError(`The data folder ${dataDir} is in use by process ${process.pid}; stop that one first.`),
    )
    claim.release()

    const again = await claimPart(dataDir, 'nats')
    again.release()
    expect(await readdir(dataDir)).toEqual([])
  })

  it('is taken over from a process that is gone, although its id is in use again', async () => {
    const dataDir = await temporaryFolder()
    const gone = { pid: process.pid, identity: 'some other boot/1' }
    await writeFile(join(dataDir, 'nats.owner.1-0'), JSON.stringify({ ...gone, child: gone }))

    const claim = await claimPart(dataDir, 'nats')

    expect(claim.leftover).toBeUndefined()
    const [file, ...others] = await readdir(dataDir)
    expect(others).toEqual([])
    const owner = JSON.parse(await readFile(join(dataDir, file ?? ''), 'utf8')) as unknown
    expect(owner).toEqual({ pid: process.pid, identity: identify(process.pid) })
    claim.release()
  })

  it('is taken over from a note that the machine did not live to write', async () => {
    const dataDir = await temporaryFolder()
    await writeFile(join(dataDir, 'nats.owner.1-0'), '')

    const claim = await claimPart(dataDir, 'nats')

    claim.release()
  })

  it('goes to one alone of many that come at once', async () => {
    const dataDir = await temporaryFolder()
    await writeFile(
      join(dataDir, 'nats.owner.1-0'),
      JSON.stringify({ pid: 1, identity: 'some other boot/1' }),
    )

    const results = await Promise.allSettled(Array.from({ length: 8 }, () => claimPart(dataDir, 'nats')))

    const claims = results.filter((result) => result.status === 'fulfilled')
    expect(claims).toHaveLength(1)
    claims[0]?.value.release()
  })

  // Root may write nearly everywhere, but not below a file, nor make anything in /proc.
  it.each(process.platform === 'linux' ? ['/dev/null/data', '/dev/null', '/proc/data'] : ['/dev/null/data'])(
    'cannot be had in %s, which is said in one sentence',
    async (dataDir) => {
      const attempt = claimPart(dataDir, 'nats')

      await expect(attempt).rejects.toThrow(StartError)
      await expect(attempt).rejects.toThrow(
        /^The data folder \S+ cannot be used \(.*\); choose another one with SLUICE_DATA_DIR\.$/,
      )
    },
  )
})
