import { callAt } from '../../platform/alarm.ts'
import { Forbidden, NotFound, Unauthenticated } from '../../platform/errors.ts'
import type { Logger } from '../../platform/log.ts'
import { createRecheckQueue } from '../../platform/recheck.ts'
import type { Admission, ChannelAccess, ChannelReference, Reader } from './access.ts'

/** Events tell of losses at once, and tokens of their end; this finds what an event was lost about. */
const RECHECK_MS = 30_000

/** A caller who takes nothing of an answer that lasts for so long is dropped. */
export const STALL_MS = 30_000

/** Calls back when somebody may have lost what they were let in with. Returns the removal. */
export type WatchPermission = (admission: Admission, onChange: () => void) => () => void

/** Who asked for a channel, in a form that can be asked again. */
export interface LastingRequest {
  readonly readReader: () => Promise<Reader>
  readonly reference: ChannelReference
}

interface Guarded {
  readonly request: LastingRequest
  readonly admission: Admission
  readonly onRevoked: () => void
}

/** Watches over answers that last longer than what was true at their beginning. */
export interface Guard {
  /** Lets in, as long as it says so. */
  admit(request: LastingRequest): Promise<Admission>
  /** Calls back, once, when who was let in would not be let in any more. Returns the removal. */
  watch(request: LastingRequest, admission: Admission, onRevoked: () => void): () => void
  stop(): void
}

export function createGuard(parts: {
  /** What is asked at the beginning, and again. */
  letIn: ChannelAccess['admit']
  watchPermission: WatchPermission
  log: Logger
}): Guard {
  const { letIn, watchPermission, log } = parts
  const guarded = new Set<Guarded>()

  const admit = async ({ readReader, reference }: LastingRequest) => letIn(await readReader(), reference)

  async function check(one: Guarded): Promise<void> {
    try {
      const { channelId, principal } = await admit(one.request)
      if (channelId === one.admission.channelId && principal.id === one.admission.principal.id) return
    } catch (error) {
      const isRefusal =
        error instanceof Unauthenticated || error instanceof Forbidden || error instanceof NotFound
      if (!isRefusal) throw error
    }
    if (guarded.has(one)) one.onRevoked()
  }

  const recheck = createRecheckQueue<Guarded>({ check, log, concurrency: 8 })
  const timer = setInterval(() => {
    for (const one of guarded) recheck.add(one)
  }, RECHECK_MS)
  timer.unref()

  return {
    admit,
    watch(request, admission, onRevoked) {
      const one: Guarded = {
        request,
        admission,
        onRevoked() {
          remove()
          onRevoked()
        },
      }
      const unwatch = watchPermission(admission, () => recheck.add(one))
      const { expiresAtMs } = admission
      const disarm = expiresAtMs === undefined ? undefined : callAt(expiresAtMs, () => one.onRevoked())
      const remove = () => {
        disarm?.()
        unwatch()
        guarded.delete(one)
      }
      guarded.add(one)
      // A change between letting in and this line found nobody to ask.
      recheck.add(one)
      return remove
    },
    stop() {
      clearInterval(timer)
      recheck.stop()
    },
  }
}
