import { ConfigError, loadConfig } from '../platform/config.ts'
import { createLogger } from '../platform/log.ts'
import { DomainError } from '../platform/errors.ts'
import { banner } from './banner.ts'
import { StartError } from './start-error.ts'
import { startGateway } from './start.ts'
import type { Gateway } from './start.ts'

/**
 * Runs the gateway until a signal ends it.
 *
 * Sets the exit status: 0 after a stop that was asked for, 1 when the start or a server of our own failed, with one sentence
 * on standard error.
 */
export async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const began = performance.now()
  let gateway: Gateway | undefined
  let ending: Promise<void> | undefined

  function end(status: number): void {
    process.exitCode ??= status
    ending ??= (gateway?.stop() ?? Promise.resolve()).then(() => process.exit())
  }

  function fail(reason: string): void {
    process.stderr.write(`${reason}\n`)
    process.exitCode = 1
    end(1)
  }

  try {
    const config = loadConfig(env)
    const log = createLogger(config.logLevel)
    const starting = startGateway(config, log, fail)
    let isWanted = true
    const onSignal = () => {
      isWanted = false
      if (gateway) end(0)
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
    gateway = await starting
    // Somebody changed their mind while it started.
    if (!isWanted) return end(0)
    process.stdout.write(`${banner(config, gateway, performance.now() - began)}\n`)
  } catch (error) {
    fail(explain(error))
  }
}

function explain(error: unknown): string {
  if (error instanceof StartError || error instanceof ConfigError || error instanceof DomainError)
    return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
