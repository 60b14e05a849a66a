/** Topics that one connection may have aliases for, and what they may take of our memory together. */
const MAX_ALIASES = 64
const MAX_TOPIC_CHARS = 16 * 1024

/**
 * Topics that a client knows by number, on one connection [MQTT-3.3.2-7]. First come, first served: a client that gets more
 * topics in turn than it takes aliases would profit from none if each new one pushed out the oldest.
 */
export class TopicAliases {
  readonly #maximum: number
  readonly #numbers = new Map<string, number>()
  #chars = 0

  /** @param maximum Topic Alias Maximum of the client's CONNECT [MQTT-3.1.2-26] [MQTT-3.3.2-11] */
  constructor(maximum: number) {
    this.#maximum = Math.min(maximum, MAX_ALIASES)
  }

  /** @returns 0 when the client knows none for the topic */
  find(topic: string): number {
    return this.#numbers.get(topic) ?? 0
  }

  /** The number that the topic would get, never 0 [MQTT-3.3.2-8]; 0 when there is no room. */
  next(topic: string): number {
    const hasRoom = this.#numbers.size < this.#maximum && this.#chars + topic.length <= MAX_TOPIC_CHARS
    return hasRoom ? this.#numbers.size + 1 : 0
  }

  /** The client has been told the topic with the number of {@link next}. */
  assign(topic: string): void {
    this.#numbers.set(topic, this.#numbers.size + 1)
    this.#chars += topic.length
  }
}
