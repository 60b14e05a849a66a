import { createRemoteBackend } from '../adapters/authority-rpc.ts'
import type { Bus } from '../platform/bus/connect.ts'
import { RemoteError } from '../platform/bus/rpc.ts'

const FRESH_MS = 2_000
const TIMEOUT_MS = 1_000
/** Of no channel: what is looked at is whether anybody answers. */
const NOWHERE = {
  domain: '00000000-0000-0000-0000-000000000000',
  channel: '00000000-0000-0000-0000-000000000000',
}

/** Asks whether a process with the role `api` answers the adapters of this one; however many ask, it hears one question in two seconds. */
export function createAuthorityProbe(bus: Bus): () => Promise<boolean> {
  const backend = createRemoteBackend(bus, { timeoutMs: TIMEOUT_MS })
  let asked: { readonly atMs: number; readonly answers: Promise<boolean> } | undefined

  async function ask(): Promise<boolean> {
    try {
      await backend.findChannel(NOWHERE)
      return true
    } catch (error) {
      // Somebody is there. That its database is away is for its own readiness to say: devices that are known here go on.
      return error instanceof RemoteError
    }
  }

  return () => {
    if (!asked || Date.now() - asked.atMs > FRESH_MS) asked = { atMs: Date.now(), answers: ask() }
    return asked.answers
  }
}
