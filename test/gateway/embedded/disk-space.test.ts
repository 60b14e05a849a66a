import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readFreeBytes, watchDiskSpace } from '../../../gateway/embedded/disk-space.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { captureLog } from '../../support/log.ts'

async function watch(minFreeBytes: number) {
  const folder = join(await temporaryFolder(), 'not', 'there', 'yet')
  const { log, lines } = captureLog()
  const space = await watchDiskSpace({ folder, log, minFreeBytes, lookMs: 5 })
  onTestFinished(() => space.stop())
  return { folder, lines }
}

describe('the disk of the data folder', () => {
  it('is an error in the log, once, when it is nearly full, also before the folder is there', async () => {
    const { folder, lines } = await watch(Number.MAX_SAFE_INTEGER)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 50, folder, freeBytes: expect.any(Number) })
    const later = Date.now() + 50
    await eventually('it has looked again', () => Date.now() > later)
    expect(lines).toHaveLength(1)
  })

  it('is nobody’s business while there is room', async () => {
    const { folder, lines } = await watch(1)
    expect(await readFreeBytes(folder)).toBeGreaterThan(1)
    expect(lines).toEqual([])
  })
})
