import { ConfigError, loadConfig } from '../platform/config.ts'
import { DomainError, Unavailable } from '../platform/errors.ts'
import { createLogger } from '../platform/log.ts'
import { banner } from './banner.ts'
import { StartError } from './start-error.ts'
import { startGateway } from './start.ts'
import type { Gateway } from './start.ts'

/**
 * Runs the gateway until SIGINT or SIGTERM ends it; a second signal ends it at once.
 *
 * The exit status is 0 after a stop that was asked for, and 1 when the start or a server of our own failed, with one sentence
 * on standard error. Resolves when the gateway is up, or is on its way out.
 */
export async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const began = performance.now()
  let gateway: Gateway | undefined
  let ending: Promise<void> | undefined
  const stopAsked = new AbortController()

  function end(status: number): void {
    ending ??= (gateway?.stop() ?? Promise.resolve()).then(() => process.exit(status))
  }

  function fail(reason: string): void {
    if (!ending) process.stderr.write(`${reason}\n`)
    end(1)
  }

  function onSignal(): void {
    // Children end by themselves when their parent is gone.
    if (stopAsked.signal.aborted) process.exit(1)
    stopAsked.abort()
    if (gateway) end(0)
  }

  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  // A bug of ours; what state it left nobody knows. Whoever supervises us starts a new one.
  process.on('uncaughtException', (error) => fail(`Bug: ${error.stack ?? error.message}`))
  try {
    const config = loadConfig(env)
    gateway = await startGateway(config, createLogger(config.logLevel), fail, stopAsked.signal)
    // Without certificates it ends us, as it ends others whose terminal has gone.
    if (gateway.reload) process.on('SIGHUP', gateway.reload)
    process.stdout.write(`${banner(config, gateway, performance.now() - began)}\n`)
    // Somebody changed their mind in its last step. The banner may have shown a password that is shown this once.
    if (stopAsked.signal.aborted) end(0)
  } catch (error) {
    // Given up: what had started is stopped already.
    if (error === stopAsked.signal.reason) return end(0)
    fail(explain(error))
  }
}

function explain(error: unknown): string {
  const isExpected =
    error instanceof StartError || error instanceof ConfigError || error instanceof DomainError
  // What callers over the network are not told: which server, and what it said.
  if (error instanceof Unavailable && error.cause instanceof Error) {
    return `${error.message}: ${error.cause.message || String((error.cause as NodeJS.ErrnoException).code)}`
  }
  if (isExpected) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
