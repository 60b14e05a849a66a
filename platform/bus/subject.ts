/**
 * Subjects of messages on the bus: `m.<domain id>.c.<channel id>[.<level>…]`.
 *
 * A topic level becomes one subject token. What NATS cannot carry in a token (nothing at all, or `.`, `*`, `>`, blanks,
 * control characters) and the escape character `%` itself are percent-encoded byte by byte in UTF-8; an empty level is
 * written `%`, which no other level encodes to. The mapping is reversible for every well-formed string.
 */

// Control characters and blanks end or break a NATS protocol line; `.`, `*`, `>` mean something in a subject.
const UNSAFE = /[\p{Cc}\s.*>%]/u
const UNSAFE_EACH = new RegExp(UNSAFE.source, 'gu')
const EMPTY_LEVEL = '%'

export interface MessageAddress {
  readonly domainId: string
  readonly channelId: string
  /** Levels behind the channel, decoded. */
  readonly levels: readonly string[]
}

const encoder = new TextEncoder()

function percentEncode(character: string): string {
  let encoded = ''
  for (const byte of encoder.encode(character))
    encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  return encoded
}

/** One topic level as one subject token. */
export function encodeLevel(level: string): string {
  if (level === '') return EMPTY_LEVEL
  return UNSAFE.test(level) ? level.replace(UNSAFE_EACH, percentEncode) : level
}

/** The inverse of {@link encodeLevel}. A token that no level encodes to is returned as it stands. */
export function decodeLevel(token: string): string {
  if (token === EMPTY_LEVEL) return ''
  if (!token.includes('%')) return token
  try {
    return decodeURIComponent(token)
  } catch {
    // Published by a foreign NATS client that does not know the encoding.
    return token
  }
}

/** Subject of one message. */
export function messageSubject(address: MessageAddress): string {
  let subject = `m.${address.domainId}.c.${address.channelId}`
  for (const level of address.levels) subject += `.${encodeLevel(level)}`
  return subject
}

/** Reads a subject back; `undefined` when it is not that of a message. */
export function parseMessageSubject(subject: string): MessageAddress | undefined {
  if (!subject.startsWith('m.')) return undefined
  const domainEnd = subject.indexOf('.', 2)
  if (domainEnd <= 2 || !subject.startsWith('.c.', domainEnd)) return undefined
  const channelAt = domainEnd + 3
  const channelEnd = subject.indexOf('.', channelAt)
  const channelId = channelEnd === -1 ? subject.slice(channelAt) : subject.slice(channelAt, channelEnd)
  if (channelId === '') return undefined
  const levels = channelEnd === -1 ? [] : subject.slice(channelEnd + 1).split('.')
  return { domainId: subject.slice(2, domainEnd), channelId, levels: levels.map(decodeLevel) }
}

/**
 * Subjects that together match a filter behind a channel. MQTT's `a/#` also takes `a` (MQTT 3.1.1 section 4.7.1.2) while
 * NATS's `a.>` does not, so a filter that ends in `#` needs two.
 *
 * @param levels filter levels behind the channel; `+` and a last `#` are wildcards, all others literal
 */
export function filterSubjects(domainId: string, channelId: string, levels: readonly string[]): string[] {
  let subject = `m.${domainId}.c.${channelId}`
  for (const level of levels) {
    if (level === '#') return [subject, `${subject}.>`]
    subject += level === '+' ? '.*' : `.${encodeLevel(level)}`
  }
  return [subject]
}
