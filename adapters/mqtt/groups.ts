import { createHash } from 'node:crypto'
import type { ConsumerInfo, JetStreamManager } from 'nats'
import type { Bus } from '../../platform/bus/connect.ts'
import { MESSAGES_STREAM } from '../../platform/bus/streams.ts'
import { filterSubjects } from '../../platform/bus/subject.ts'
import { QuotaExceeded, Unavailable } from '../../platform/errors.ts'
import type { ChannelAddress } from '../authority.ts'
import { decodeRecord } from './session-record.ts'
import type { SessionRecords } from './session-records.ts'
import { parseFilter } from './shared-filter.ts'

/** What a group has on the stream for a subject of its filter. */
export interface GroupConsumer {
  readonly name: string
  readonly filterSubject: string
  readonly deliverSubject: string
}

const PREFIX = 'shared-'

/** One a subject, the same for all that share the filter, however they write domain and channel. */
export function consumersOf(
  { domainId, channelId }: ChannelAddress,
  levels: readonly string[],
  group: string,
): GroupConsumer[] {
  return filterSubjects(domainId, channelId, levels).map((filterSubject) => {
    const hash = createHash('sha256').update(`${group}\n${filterSubject}`).digest('base64url')
    return { name: PREFIX + hash, filterSubject, deliverSubject: `shared.${hash}` }
  })
}

/** Without a member the group is forgotten, and with it what came meanwhile. */
export const IDLE_MS = 10_000
export const NS = 1_000_000

/** Rests so many times as long as a look took, at least: it costs the more, the more a tenant has. */
const REST_FACTOR = 20

/** The consumers of all groups: how many a domain may have, and which of them nobody will come back to. */
export interface Groups {
  /** Counts in those that a member is about to make. @throws {QuotaExceeded} `too_many_groups` @throws {Unavailable} */
  admit(domainId: string, consumers: readonly GroupConsumer[]): Promise<void>
  stop(): void
}

export interface GroupsOptions {
  readonly bus: Bus
  readonly records: SessionRecords
  /** Consumers of the groups of one domain, over all processes. */
  readonly maxPerDomain: number
  /** Between two looks at all of them. */
  readonly roundMs?: number
  /** At least between two looks, however often somebody is refused. */
  readonly restMs?: number
}

/**
 * A group that a session which outlives its connection was a member of lasts as long as such a session may, since the server
 * knows nothing of members that are away. So it is looked at now and then who still has it on file. What nobody has lasts
 * from then on no longer than a group without such members.
 */
export function createGroups(options: GroupsOptions): Groups {
  const { bus, records, maxPerDomain, roundMs = 300_000, restMs = 10_000 } = options
  let byDomain = new Map<string, Set<string>>()
  /** Counted in while the look is under way, which may have missed them. */
  let recent: [domainId: string, name: string][] = []
  let looking: Promise<void> | undefined
  let hasLooked = false
  let restUntilMs = 0

  function count(all: Map<string, Set<string>>, domainId: string, name: string): void {
    const names = all.get(domainId)
    if (names) names.add(name)
    else all.set(domainId, new Set([name]))
  }

  /** Names of those that sessions of the domain are members of, connected or not. */
  async function findKept(domainId: string, kept: Set<string>): Promise<void> {
    await records.scan((_key, { value }) => {
      for (const { filter, channelId } of decodeRecord(value)?.subscriptions ?? []) {
        const { group, topic } = parseFilter(filter)
        if (group === undefined) continue
        for (const { name } of consumersOf({ domainId, channelId }, topic.levels, group)) kept.add(name)
      }
    }, domainId)
  }

  /** Not deleted, but left to the server: somebody may join just now, and would never hear of it. */
  async function forget(manager: JetStreamManager, name: string): Promise<void> {
    try {
      await manager.consumers.update(MESSAGES_STREAM, name, { inactive_threshold: IDLE_MS * NS })
    } catch (error) {
      // Gone already, or looked at again next time.
      bus.log.debug({ err: error }, 'group not forgotten')
    }
  }

  async function look(): Promise<void> {
    recent = []
    const manager = await bus.connection.jetstreamManager({ checkAPI: false })
    const found = new Map<string, Set<string>>()
    const unattended: ConsumerInfo[] = []
    for await (const consumer of manager.consumers.list(MESSAGES_STREAM)) {
      if (!consumer.name.startsWith(PREFIX)) continue
      if (!consumer.push_bound && isKept(consumer)) unattended.push(consumer)
      else count(found, domainOf(consumer), consumer.name)
    }
    const kept = new Set<string>()
    // Behind the list: who is a member of one of these is on file by now.
    for (const domainId of new Set(unattended.map(domainOf))) await findKept(domainId, kept)
    for (const { name, config } of unattended) {
      if (kept.has(name)) count(found, domainOfSubject(config.filter_subject), name)
      else await forget(manager, name)
    }
    for (const [domainId, name] of recent) count(found, domainId, name)
    byDomain = found
    hasLooked = true
  }

  function looked(): Promise<void> {
    const beganAtMs = Date.now()
    if (!looking && beganAtMs < restUntilMs) return Promise.resolve()
    looking ??= look().finally(() => {
      const now = Date.now()
      restUntilMs = now + Math.max(restMs, REST_FACTOR * (now - beganAtMs))
      looking = undefined
    })
    return looking
  }

  function hasRoom(domainId: string, consumers: readonly GroupConsumer[]): boolean {
    const names = byDomain.get(domainId)
    const added = consumers.filter(({ name }) => !names?.has(name))
    return added.length === 0 || (names?.size ?? 0) + added.length <= maxPerDomain
  }

  const rounds = setInterval(() => {
    if (!bus.isConnected) return
    looked().catch((error: unknown) => bus.log.warn({ err: error }, 'groups could not be looked through'))
  }, roundMs)
  rounds.unref()

  return {
    async admit(domainId, consumers) {
      try {
        // What there was before this process began.
        if (!hasLooked || !hasRoom(domainId, consumers)) await looked()
      } catch (cause) {
        throw new Unavailable('groups cannot be counted', { cause })
      }
      if (!hasRoom(domainId, consumers)) {
        throw new QuotaExceeded('too_many_groups', 'the domain has no room for more shared subscriptions')
      }
      for (const { name } of consumers) {
        count(byDomain, domainId, name)
        if (looking) recent.push([domainId, name])
      }
    },
    stop() {
      clearInterval(rounds)
    },
  }
}

const isKept = ({ config }: ConsumerInfo): boolean => (config.inactive_threshold ?? 0) > IDLE_MS * NS

const domainOf = ({ config }: ConsumerInfo): string => domainOfSubject(config.filter_subject)

/** @see messageSubject */
const domainOfSubject = (subject = ''): string => subject.split('.')[1] ?? ''
