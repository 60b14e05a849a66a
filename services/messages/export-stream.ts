import { Readable } from 'node:stream'
import type { ExportedDocument } from './export.ts'

/**
 * The document as the caller takes it.
 *
 * @param onStalled called when nothing of it is taken for so long
 */
export function toStream(
  { first, rest }: ExportedDocument,
  stallMs: number,
  onStalled: () => void,
): Readable {
  let timer: NodeJS.Timeout | undefined
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let chunk: Buffer | undefined = first; chunk; chunk = (await rest.next()).value) {
      timer = setTimeout(onStalled, stallMs)
      yield chunk
      clearTimeout(timer)
    }
  }
  const stream = Readable.from(chunks(), { objectMode: false, highWaterMark: 65_536 })
  // Also when nobody has read anything of it: the query behind it ends.
  stream.once('close', () => {
    clearTimeout(timer)
    void rest.return(undefined).catch(() => undefined)
  })
  return stream
}
