import { ErrorCode, NatsError } from 'nats'
import type { Msg } from 'nats'
import { DomainError, Unavailable } from '../errors.ts'
import type { ErrorKind } from '../errors.ts'
import { createLogLimit } from '../log-limit.ts'
import type { Bus } from './connect.ts'

/**
 * What a service answers over the bus: methods of one argument, plain JSON in and out. Checking the input is the
 * handler's business.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- a bound that takes methods of any argument; `never` and `unknown` do not
export type RpcHandlers = Record<string, (input: any) => Promise<unknown>>

/** The same methods, seen from the other process. */
export type RpcCaller<H extends RpcHandlers> = {
  readonly [M in keyof H]: (input: Parameters<H[M]>[0]) => Promise<Awaited<ReturnType<H[M]>>>
}

type Reply = { ok: unknown } | { error: { kind: ErrorKind; code: string; message: string } }

/** A {@link DomainError} that was thrown in another process. */
export class RemoteError extends DomainError {
  readonly kind: ErrorKind
  readonly code: string
  override readonly retryAfterS: number | undefined
  constructor({ kind, code, message }: { kind: ErrorKind; code: string; message: string }) {
    super(message)
    this.kind = kind
    this.code = code
    this.retryAfterS = kind === 'unavailable' ? 1 : undefined
  }
}

// nats.js types the code of its errors as a plain string.
const NO_RESPONDERS: string = ErrorCode.NoResponders
const TIMEOUT: string = ErrorCode.Timeout

const subjectOf = (name: string, method: string): string => `rpc.${name}.${method}`

/**
 * Answers calls on `rpc.<name>.<method>`. All processes that serve one name share the calls (queue group).
 *
 * At most `concurrency` calls run at a time and ten times as many wait; further ones are answered `Unavailable` at once, so
 * that callers fail fast and memory stays bounded.
 *
 * @returns `stop` takes no more calls and resolves when those that were taken are answered
 */
export function serve(
  bus: Bus,
  name: string,
  handlers: RpcHandlers,
  { concurrency = 64 }: { concurrency?: number } = {},
): { readonly ready: Promise<void>; stop(): Promise<void> } {
  const waiting: { method: string; msg: Msg }[] = []
  const limit = createLogLimit()
  let running = 0
  let onIdle: (() => void) | undefined

  function reply(msg: Msg, answer: Reply): void {
    try {
      msg.respond(JSON.stringify(answer))
    } catch (error) {
      // Too large for the server, or the connection is closed: the caller runs into its timeout.
      bus.log.error({ err: error, subject: msg.subject }, 'call could not be answered')
    }
  }

  async function run({ method, msg }: { method: string; msg: Msg }): Promise<void> {
    try {
      // An own method by construction: only subjects of our handlers are subscribed to.
      const handler = handlers[method] as RpcHandlers[string]
      reply(msg, { ok: (await handler(msg.json())) ?? null })
    } catch (error) {
      reply(msg, { error: describe(error, msg.subject) })
    }
  }

  function describe(error: unknown, subject: string): { kind: ErrorKind; code: string; message: string } {
    if (error instanceof DomainError) return { kind: error.kind, code: error.code, message: error.message }
    const leftOut = limit.admit('internal')
    if (leftOut !== undefined) bus.log.error({ err: error, subject, leftOut }, 'call failed')
    return { kind: 'internal', code: 'internal', message: 'internal error' }
  }

  async function work(call: { method: string; msg: Msg }): Promise<void> {
    running += 1
    for (let next: typeof call | undefined = call; next; next = waiting.shift()) await run(next)
    running -= 1
    if (running === 0) onIdle?.()
  }

  function accept(method: string, msg: Msg): void {
    if (running < concurrency) {
      // `run` answers every error itself.
      void work({ method, msg })
    } else if (waiting.length < concurrency * 10) {
      waiting.push({ method, msg })
    } else {
      reply(msg, { error: { kind: 'unavailable', code: 'unavailable', message: 'too many calls' } })
    }
  }

  const subscriptions = Object.keys(handlers).map((method) =>
    bus.connection.subscribe(subjectOf(name, method), {
      queue: `rpc.${name}`,
      callback(error, msg) {
        if (error) bus.log.error({ err: error, name, method }, 'subscription to calls failed')
        else accept(method, msg)
      },
    }),
  )
  const ready = bus.flush()
  ready.catch(() => undefined)

  return {
    ready,
    async stop() {
      // Draining lets in what the server had already sent to us, and nobody else would answer.
      await Promise.allSettled(subscriptions.map((subscription) => subscription.drain()))
      if (running === 0) return
      await new Promise<void>((resolve) => {
        onIdle = resolve
      })
    },
  }
}

function reason(error: unknown): string {
  const code = error instanceof NatsError ? error.code : undefined
  if (code === NO_RESPONDERS) return 'no process serves it'
  return code === TIMEOUT ? 'no answer in time' : 'the bus failed'
}

/**
 * Calls what another process serves under the name. A {@link DomainError} thrown there comes out as {@link RemoteError}
 * of the same kind, code and message; whatever else was thrown there, as kind `internal` without detail.
 *
 * @param methods names of the methods that are called
 */
export function createCaller<H extends RpcHandlers>(
  bus: Bus,
  name: string,
  methods: readonly (keyof H & string)[],
  { timeoutMs = 5_000 }: { timeoutMs?: number } = {},
): RpcCaller<H> {
  // Once in a while, for as long as nobody is there.
  const limit = createLogLimit({ lines: 1 })
  async function call(method: string, input: unknown): Promise<unknown> {
    if (!bus.isConnected) throw new Unavailable('the bus is disconnected')
    let msg: Msg
    try {
      msg = await bus.connection.request(subjectOf(name, method), JSON.stringify(input), {
        timeout: timeoutMs,
      })
    } catch (error) {
      const subject = subjectOf(name, method)
      const leftOut = limit.admit(subject)
      if (leftOut !== undefined)
        bus.log.warn({ subject, reason: reason(error), leftOut }, 'call was not answered')
      // Devices and people are told this, and our subjects are none of their business.
      throw new Unavailable('a part of the service does not answer', { cause: error })
    }
    const answer = msg.json<Reply>()
    if ('error' in answer) throw new RemoteError(answer.error)
    return answer.ok
  }
  return Object.fromEntries(
    methods.map((method) => [method, (input: unknown) => call(method, input)]),
  ) as RpcCaller<H>
}
