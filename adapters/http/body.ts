import type { IncomingMessage } from 'node:http'
import { InvalidInput, TooLarge } from '../../platform/errors.ts'

/** How much of a refused body is read and thrown away, so that the answer arrives and the connection can be used again. */
const DISCARD_LIMIT_BYTES = 1_048_576

/**
 * Reads a body whole.
 *
 * @throws {TooLarge} more than the limit, said or sent
 * @throws {InvalidInput} nothing in it, or the connection ended inside it
 */
export function readBody(req: IncomingMessage, limitBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(req.headers['content-length'] ?? 0) > limitBytes) {
      reject(new TooLarge(limitBytes))
      return
    }
    // It may have gone away while its credentials were looked up; then no event comes any more.
    if (req.destroyed) {
      reject(endedEarly())
      return
    }
    const chunks: Buffer[] = []
    let sizeBytes = 0
    const onData = (chunk: Buffer): void => {
      sizeBytes += chunk.length
      chunks.push(chunk)
      if (sizeBytes > limitBytes) {
        finish()
        reject(new TooLarge(limitBytes))
      }
    }
    const onEnd = (): void => {
      finish()
      const [first, ...more] = chunks
      if (!first) reject(new InvalidInput('empty body', { code: 'empty_body' }))
      else resolve(more.length === 0 ? first : Buffer.concat(chunks, sizeBytes))
    }
    const onClose = (): void => {
      finish()
      reject(endedEarly())
    }
    const finish = (): void => {
      req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose)
    }
    req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose)
  })
}

function endedEarly(): InvalidInput {
  return new InvalidInput('the body ended early', { code: 'aborted' })
}

/**
 * Lets the rest of a refused body pass by, up to a limit. To close right after the answer would be simpler, but data that
 * arrives then makes the kernel send a reset, which can overtake the answer.
 */
export function discardBody(req: IncomingMessage): void {
  if (req.readableEnded || req.destroyed) return
  let discardedBytes = 0
  req.on('data', (chunk: Buffer) => {
    discardedBytes += chunk.length
    if (discardedBytes > DISCARD_LIMIT_BYTES) req.socket.destroy()
  })
  // A connection that breaks in there has been answered already.
  req.on('error', () => undefined)
  req.resume()
}
