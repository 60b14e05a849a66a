import { z } from 'zod'
import { InvalidInput, TooLarge } from '../../platform/errors.ts'
import { parse } from '../../platform/http/input.ts'
import { parseTopicName } from '../topics.ts'
import type { Topic, TopicLimits } from '../topics.ts'

/** Body of `POST /publish`. */
export const Envelope = z.object({
  topic: z.string(),
  payload: z.string().regex(/^[A-Za-z0-9+/_-]*={0,2}$/, 'must be base64'),
  qos: z.union([z.literal(0), z.literal(1), z.literal(2)]).default(0),
  retain: z.boolean().default(false),
})

/** What `POST /publish` carries. */
export interface EnvelopedMessage {
  readonly topic: Topic
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
}

/** The longest body that a payload of this size makes: base64, and room for the topic. */
export function envelopeLimitBytes(maxPayloadBytes: number): number {
  return Math.ceil(maxPayloadBytes / 3) * 4 + 8_192
}

/**
 * @throws {InvalidInput} malformed JSON, a field that does not fit, an empty payload, a topic that is not in the grammar
 * @throws {TooLarge} the payload, decoded, is over the limit
 */
export function readEnvelope(body: Buffer, maxPayloadBytes: number, topics: TopicLimits): EnvelopedMessage {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (error) {
    // Without the parser's words: they quote the body.
    throw new InvalidInput('malformed JSON', { cause: error, code: 'malformed_json' })
  }
  const { topic, payload: encoded, qos, retain } = parse(Envelope, value)
  const payload = Buffer.from(encoded, 'base64')
  if (payload.length === 0) throw new InvalidInput('payload: empty', { code: 'empty_body' })
  if (payload.length > maxPayloadBytes) throw new TooLarge(maxPayloadBytes)
  return { topic: parseTopicName(topic, topics), payload, qos, retain }
}
