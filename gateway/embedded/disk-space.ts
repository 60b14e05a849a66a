import { statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Logger } from '../../platform/log.ts'

/** Minutes of a busy gateway, in which somebody can act: with nothing left nats-server gives JetStream up until it is restarted. */
const MIN_FREE_BYTES = 256 * 1_048_576
const LOOK_MS = 10_000

export interface DiskSpaceOptions {
  readonly folder: string
  readonly log: Logger
  readonly minFreeBytes?: number
  readonly lookMs?: number
}

/** What an unprivileged process may still write there; of the nearest folder above while there is none. */
export async function readFreeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch (error) {
    const above = dirname(resolve(folder))
    const { code } = error as NodeJS.ErrnoException
    if ((code !== 'ENOENT' && code !== 'ENOTDIR') || above === folder) throw error
    return readFreeBytes(above)
  }
}

/** Tells an operator when the disk of the servers of our own is nearly full, once each time, and when there is room again. */
export async function watchDiskSpace(options: DiskSpaceOptions): Promise<{ stop(): void }> {
  const { folder, log, minFreeBytes = MIN_FREE_BYTES, lookMs = LOOK_MS } = options
  let isLow = false

  async function look(): Promise<void> {
    try {
      const freeBytes = await readFreeBytes(folder)
      if (freeBytes < minFreeBytes && !isLow) {
        log.error({ folder, freeBytes, minFreeBytes }, 'the disk of the data folder is nearly full')
      } else if (freeBytes >= minFreeBytes && isLow) {
        log.info({ folder, freeBytes }, 'the disk of the data folder has room again')
      }
      isLow = freeBytes < minFreeBytes
    } catch (error) {
      // Whoever uses the folder fails over it, in words of their own.
      log.debug({ err: error, folder }, 'free space of the data folder not known')
    }
  }

  await look()
  // Never rejects.
  const timer = setInterval(() => void look(), lookMs)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
