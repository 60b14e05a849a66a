import { Readable } from 'node:stream'
import { headers } from 'nats'
import type { Bus } from '../../platform/bus/connect.ts'
import { presentEnvelope } from './envelope.ts'
import type { Replay, ReplaySummary } from './replay.ts'

const BUFFER_BYTES = 65_536
/** What a caller has, once a replay is over, to take how far it came. */
const LAST_LINE_MS = 1_000

/**
 * One message a line, and how far it came on the last; an answer without that line was cut off.
 *
 * Ends with its caller: also when the caller takes nothing for `stallMs`, or has not taken the last line when the replay is
 * long over. A replay closes with its answer.
 */
export function replayLines(
  { messages, signal, close }: Omit<Replay, 'admission'>,
  stallMs: number,
): Readable {
  const drop = () => body.destroy()
  // Nobody has read a line of it yet, and maybe nobody will.
  let stalled = setTimeout(drop, stallMs)

  async function* lines(): AsyncGenerator<string> {
    for (let isDone = false; !isDone;) {
      // From here to the next line it is we who are waited for.
      clearTimeout(stalled)
      const { done, value } = await messages.next()
      isDone = done === true
      if (!body.destroyed) stalled = setTimeout(drop, stallMs)
      const line = done ? { replay: value } : { sequence: value.seq, ...presentEnvelope(value.message) }
      yield `${JSON.stringify(line)}\n`
    }
  }

  const body = Readable.from(lines(), { objectMode: false, highWaterMark: BUFFER_BYTES })
  let late: NodeJS.Timeout | undefined
  const onOver = () => (late = setTimeout(drop, LAST_LINE_MS))
  if (signal.aborted) onOver()
  else signal.addEventListener('abort', onOver)
  body.once('close', () => {
    signal.removeEventListener('abort', onOver)
    clearTimeout(stalled)
    clearTimeout(late)
    close()
  })
  return body
}

/** Between two waits for the server: what it has not taken is in memory. */
const UNCONFIRMED_MESSAGES = 256
const UNCONFIRMED_BYTES = 1_048_576

/** Publishes the messages on a subject of core NATS, with the headers they had. The replay is closed at the end. */
export async function publishReplay(
  bus: Bus,
  subject: string,
  { messages, close }: Omit<Replay, 'admission'>,
): Promise<ReplaySummary> {
  let [count, bytes] = [0, 0]
  try {
    for (;;) {
      const { done, value } = await messages.next()
      if (done || count === UNCONFIRMED_MESSAGES || bytes >= UNCONFIRMED_BYTES) {
        await bus.flush()
        ;[count, bytes] = [0, 0]
      }
      if (done) return value
      const fields = headers()
      for (const [name, values] of value.msg.headers ?? []) for (const one of values) fields.append(name, one)
      fields.set('Sluice-Subject', value.msg.subject)
      fields.set('Sluice-Stream-Sequence', String(value.seq))
      bus.connection.publish(subject, value.msg.data, { headers: fields })
      count += 1
      bytes += value.msg.data.length
    }
  } finally {
    close()
  }
}
