import type { Logger } from '../../platform/log.ts'
import type { Child } from './child.ts'
import type { Claim } from './claim.ts'

/** A server of ours that runs as a child process. */
export interface EmbeddedServer {
  /** With the credentials in it: not for logs. */
  readonly url: string
  /** Process id, for those who measure. */
  readonly pid: number
  /** Ends the server, mildly first, and gives its part of the data folder back. Further calls wait for the same end. */
  readonly stop: () => Promise<void>
}

export interface ServerOptions {
  readonly dataDir: string
  readonly log: Logger
  /** A free one unless given. */
  readonly port?: number | undefined
  /** Called when the server ends without having been asked to, with the reason in one sentence. */
  readonly onExit?: ((reason: string) => void) | undefined
}

/** How long a server may take to get ready: recovery after a crash reads what was written since the last checkpoint. */
export const READY_TIMEOUT_MS = 120_000

/** Looks after a server that is ready: tells of an end that nobody asked for. */
export function supervise(
  name: string,
  child: Child,
  claim: Claim,
  url: string,
  onExit: ServerOptions['onExit'],
): EmbeddedServer {
  let stopping: Promise<void> | undefined
  void child.exited.then((reason) => {
    claim.release()
    if (!stopping) onExit?.(`${name} ended unexpectedly (${reason}).`)
  })
  return {
    url,
    pid: child.pid,
    stop() {
      stopping ??= child.stop()
      return stopping
    },
  }
}
