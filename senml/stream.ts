import { CborStreamReader } from './cbor-stream.ts'
import { JsonStreamReader } from './json-stream.ts'
import type { SenmlRecord } from './record.ts'
import type { StreamOptions } from './stream-options.ts'

/**
 * Reads the records of a stream in JSON as they arrive, from whatever gives chunks: a Node stream, the body of a
 * `fetch`, an array.
 *
 * @throws {SenmlError} behind the records of the chunks before the one that is wrong
 */
export async function* readJsonStream(
  chunks: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
  options: StreamOptions = {},
): AsyncGenerator<SenmlRecord, void, undefined> {
  const reader = new JsonStreamReader(options)
  for await (const chunk of chunks) yield* reader.push(chunk)
  reader.end()
}

/**
 * Reads the records of a stream in CBOR as they arrive.
 *
 * @throws {SenmlError} behind the records of the chunks before the one that is wrong
 */
export async function* readCborStream(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: StreamOptions = {},
): AsyncGenerator<SenmlRecord, void, undefined> {
  const reader = new CborStreamReader(options)
  for await (const chunk of chunks) yield* reader.push(chunk)
  reader.end()
}
