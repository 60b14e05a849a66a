import type { MessageAddress } from '../../platform/bus/subject.ts'
import type { Authority, ChannelAddress } from '../authority.ts'
import { parseTopicName } from '../topics.ts'
import type { TopicLimits } from '../topics.ts'
import { findAllowed } from './access.ts'
import type { ClientPrincipal } from './access.ts'

export interface KnownTopic extends MessageAddress {
  readonly isAscii: boolean
}

/** Topics and prefixes whose addresses a connection remembers; forgotten all at once when there are more. */
const MAX_KNOWN = 512

/** The topics that one client publishes on and where they lead, asked of the authority once. */
export class KnownTopics {
  readonly #authority: Authority
  readonly #principal: ClientPrincipal
  readonly #limits: TopicLimits
  readonly #topics = new Map<string, KnownTopic>()
  readonly #prefixes = new Map<string, ChannelAddress>()
  /** Grows whenever what is known was forgotten: an answer asked for before that is not to be kept. */
  #generation = 0

  constructor(authority: Authority, principal: ClientPrincipal, limits: TopicLimits) {
    this.#authority = authority
    this.#principal = principal
    this.#limits = limits
  }

  /** Where it leads, if that is known. */
  get(text: string): KnownTopic | undefined {
    return this.#topics.get(text)
  }

  /**
   * Where it leads, once that is found out.
   *
   * @throws {InvalidTopic}, {Forbidden}, {Unavailable}
   */
  async resolve(text: string): Promise<KnownTopic> {
    const topic = parseTopicName(text, this.#limits)
    let channel = this.#prefixes.get(topic.prefix)
    while (!channel) {
      const generation = this.#generation
      const found = await findAllowed(this.#authority, this.#principal, topic, 'publish')
      if (generation !== this.#generation) continue
      channel = found
      remember(this.#prefixes, topic.prefix, channel)
    }
    const address: KnownTopic = {
      domainId: channel.domainId,
      channelId: channel.channelId,
      levels: topic.levels,
      isAscii: /^[\x20-\x7e]*$/.test(text),
    }
    remember(this.#topics, text, address)
    return address
  }

  /** Permissions have changed: everything is asked again from now on. */
  forget(): void {
    this.#generation += 1
    this.#topics.clear()
    this.#prefixes.clear()
  }
}

function remember<V>(known: Map<string, V>, key: string, value: V): void {
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(key, value)
}
