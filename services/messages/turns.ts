import { RateLimited } from '../../platform/errors.ts'

export interface TurnLimits {
  /** Questions of one domain that are asked at once. */
  readonly maxAtOnce: number
  /** Further ones of the domain that wait; more are refused. */
  readonly maxWaiting: number
}

export type Turns = ReturnType<typeof createTurns>

interface Queue {
  running: number
  readonly waiting: Set<() => void>
}

/** Takes the questions of each domain a few at a time, so that no domain has all connections to the database. */
export function createTurns({ maxAtOnce, maxWaiting }: TurnLimits) {
  const queues = new Map<string, Queue>()

  async function wait(queue: Queue, withinMs: number): Promise<void> {
    if (queue.waiting.size >= maxWaiting) throw tooMany()
    await new Promise<void>((resolve, reject) => {
      const next = () => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        queue.waiting.delete(next)
        reject(tooMany())
      }, withinMs)
      queue.waiting.add(next)
    })
  }

  return {
    /**
     * @param withinMs how long to wait for a turn
     * @throws {RateLimited} none came, or too many wait already; and what the body throws
     */
    async take<T>(domainId: string, withinMs: number, body: () => Promise<T>): Promise<T> {
      const queue = queues.get(domainId) ?? { running: 0, waiting: new Set() }
      queues.set(domainId, queue)
      if (queue.running < maxAtOnce) queue.running += 1
      else await wait(queue, withinMs)
      try {
        return await body()
      } finally {
        const [next] = queue.waiting
        if (next) {
          // The turn is handed on, so nobody comes in between.
          queue.waiting.delete(next)
          next()
        } else {
          queue.running -= 1
          if (queue.running === 0) queues.delete(domainId)
        }
      }
    },
  }
}

const tooMany = () =>
  new RateLimited(2, { code: 'too_many_reads', message: 'too many reads of this domain at once' })
