import { InvalidTopic, parseTopicFilter, TOPIC_LIMITS } from '../topics.ts'
import type { Topic } from '../topics.ts'

/** A filter of a SUBSCRIBE: alone, or shared with the members of a group (MQTT 5 section 4.8.2). */
export interface Filter {
  readonly group: string | undefined
  readonly topic: Topic
}

const SHARED = '$share/'

/**
 * Reads a filter as a client writes it. `$share/<group>/<filter>` is taken of clients of every version.
 *
 * @throws {InvalidTopic} also for a group that is empty or holds a wildcard [MQTT-4.8.2-1] [MQTT-4.8.2-2]
 */
export function parseFilter(text: string, limits = TOPIC_LIMITS): Filter {
  if (!text.startsWith(SHARED)) return { group: undefined, topic: parseTopicFilter(text, limits) }
  const end = text.indexOf('/', SHARED.length)
  const group = text.slice(SHARED.length, end)
  if (end === -1 || group === '' || /[+#]/.test(group))
    throw new InvalidTopic('bad group of a shared subscription')
  return { group, topic: parseTopicFilter(text.slice(end + 1), limits) }
}
