import { createLogLimit } from '../../platform/log-limit.ts'
import type { Logger } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'

const SENTENCES = {
  page: 'unread page cut off to make room',
  export: 'slow reader of an export dropped',
} as const

export type SlowReaders = ReturnType<typeof createSlowReaders>

/** Counts and tells of readers that are dropped because they do not read. */
export function createSlowReaders(log: Logger, metrics: Pick<Metrics, 'refused'>) {
  const slow = metrics.refused('http', 'slow')
  const lines = createLogLimit()
  return (of: keyof typeof SENTENCES, domainId: string): void => {
    slow.value += 1
    const leftOut = lines.admit(of)
    if (leftOut !== undefined) log.info({ domainId, leftOut }, SENTENCES[of])
  }
}
