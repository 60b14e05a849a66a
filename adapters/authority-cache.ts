import { hash, randomBytes } from 'node:crypto'
import { subscribeEvents } from '../platform/bus/events.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Bus } from '../platform/bus/connect.ts'
import type { SecretBrake } from '../platform/secret-brake.ts'
import type {
  Authority,
  AuthorityBackend,
  AuthorityChange,
  AuthorityFacts,
  ChannelAddress,
  Credentials,
  Principal,
} from './authority.ts'
import { authorityEffect } from './authority-events.ts'
import { FactCache } from './fact-cache.ts'

/** Bounds of what an adapter remembers, in entries; about 500 bytes each. */
export interface AuthorityLimits {
  readonly maxChannels: number
  readonly maxPrincipals: number
  readonly maxPermissions: number
  /** "No" answers of each sort. A stranger can make as many of them as he likes, hence apart from the good ones. */
  readonly maxRefusals: number
  /** Net below the events, for an event that was lost. */
  readonly ttlMs: number
  readonly refusalTtlMs: number
}

const DEFAULT_LIMITS: AuthorityLimits = {
  maxChannels: 20_000,
  maxPrincipals: 60_000,
  maxPermissions: 120_000,
  maxRefusals: 5_000,
  ttlMs: 60_000,
  refusalTtlMs: 1_000,
}

export type CachedAuthority = Authority & {
  /** Resolves when announcements arrive; nothing should be served before. */
  readonly ready: Promise<void>
  stop(): void
}

/** One kind of question: its remembered answers, and the questions that are under way. */
interface Questions<V> {
  ask(
    key: string,
    question: () => Promise<V>,
    factsOf: (answer: V) => AuthorityFacts,
    ttlOf?: (answer: V) => number | undefined,
  ): Promise<V>
  /** A remembered answer that is no refusal. Counted as an answer when it is there. */
  recall(key: string): NonNullable<V> | undefined
  /** Forgets refusals, what the change touches, and what is under way; without a change, refusals and what is under way. */
  forget(change: AuthorityChange | undefined): void
  clear(): void
}

/**
 * The backend behind a bounded cache. Events on the bus evict what they touch; a reconnect evicts everything, because events
 * may have been missed.
 */
export function createAuthority({
  backend,
  bus,
  brake,
  metrics,
  limits: given = {},
}: {
  backend: AuthorityBackend
  bus: Bus
  /** Slows down those who try secrets. */
  brake?: SecretBrake
  metrics?: Metrics
  limits?: Partial<AuthorityLimits>
}): CachedAuthority {
  const limits = { ...DEFAULT_LIMITS, ...given }
  const channels = createQuestions<ChannelAddress | null>('channel', limits.maxChannels, limits, metrics)
  const principals = createQuestions<Principal | null>('principal', limits.maxPrincipals, limits, metrics)
  const permissions = createQuestions<boolean>('permission', limits.maxPermissions, limits, metrics)
  const listeners = new Set<(change: AuthorityChange) => void>()
  // Secrets are kept as keyed hashes alone, and the key dies with the process: a heap dump gives no secret away.
  const hashKey = randomBytes(32).toString('base64')
  const seal = (text: string): string => hash('sha256', hashKey + text, 'base64')
  let era = 0

  function announce(change: AuthorityChange): void {
    for (const listener of listeners) {
      try {
        listener(change)
      } catch (error) {
        bus.log.error({ err: error }, 'listener of the authority failed')
      }
    }
  }

  const events = subscribeEvents(bus, (event) => {
    const effect = authorityEffect(event)
    if (!effect) return
    const change = effect.change === 'nothing lost' ? undefined : effect.change
    if (change) era += 1
    for (const questions of [channels, principals, permissions]) questions.forget(change)
    if (change) announce(change)
  })

  const removeOnReconnect = bus.onReconnect(() => {
    era += 1
    for (const questions of [channels, principals, permissions]) questions.clear()
    announce({})
  })

  const credentialsKey = (credentials: Credentials): string => seal(credentialsText(credentials))

  return {
    ready: events.ready,

    memory: {
      findChannel: (reference) => channels.recall(channelKey(reference)),
      authenticate: (credentials) => principals.recall(credentialsKey(credentials)),
      authorize: (request) => permissions.recall(permissionKey(request)) ?? false,
      get era() {
        return era
      },
      seal,
    },

    findChannel(reference) {
      return channels.ask(
        channelKey(reference),
        () => backend.findChannel(reference),
        (address) => ({ ...address, principal: null }),
      )
    },

    authenticate(credentials, address) {
      const key = credentialsKey(credentials)
      const ask = () =>
        principals.ask(key, () => backend.authenticate(credentials), principalFacts, remainingMs)
      // Nothing to guess: tokens are signed, or 100 random characters, and certificates were proven in the handshake.
      const { kind } = credentials
      if (address === undefined || !brake || kind === 'token' || kind === 'certificate') return ask()
      const known = principals.recall(key)
      return known ? Promise.resolve(known) : brake.ask(credentials, address, ask)
    },

    authorize(request) {
      const { principal, channelId } = request
      return permissions.ask(
        permissionKey(request),
        () => backend.authorize(request),
        () => ({
          principal,
          channelId,
          domainId: principal.kind === 'client' ? principal.domainId : undefined,
        }),
      )
    },

    onChange(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },

    stop() {
      events.stop()
      removeOnReconnect()
    },
  }
}

type ChannelReference = Parameters<AuthorityBackend['findChannel']>[0]
type PermissionRequest = Parameters<AuthorityBackend['authorize']>[0]

const channelKey = ({ domain, channel }: ChannelReference): string => `${domain ?? ''}/${channel}`

function permissionKey({ principal, channelId, action }: PermissionRequest): string {
  const holder = principal.kind === 'user' ? `${principal.id}:${principal.patId ?? ''}` : principal.id
  return `${principal.kind}:${holder}:${channelId}:${action}`
}

/** Another text for all others: what is not the last says how long it is. */
function credentialsText(credentials: Credentials): string {
  switch (credentials.kind) {
    case 'secret':
      return `secret ${credentials.domainId.length} ${credentials.domainId}${credentials.secret}`
    case 'client':
      return `client ${credentials.clientId.length} ${credentials.clientId}${credentials.secret}`
    case 'token':
      return `token ${credentials.token}`
    case 'certificate':
      return `certificate ${credentials.clientId}`
  }
}

function createQuestions<V>(
  kind: string,
  max: number,
  limits: AuthorityLimits,
  metrics: Metrics | undefined,
): Questions<V> {
  const answers = (from: string) =>
    metrics?.counter(
      'sluice_authority_answers_total',
      'Questions about who may do what, by where the answer came from',
      {
        question: kind,
        from,
      },
    ) ?? { value: 0 }
  const fromCache = answers('cache')
  const fromBackend = answers('backend')
  const granted = new FactCache<V>(max)
  const refused = new FactCache<V>(limits.maxRefusals)
  metrics?.gauge(
    'sluice_authority_cache_entries',
    'Answers that are remembered',
    () => granted.size + refused.size,
    { question: kind },
  )
  let underWay = new Map<string, Promise<V>>()

  function forgetUnderWay(): void {
    // What was asked before the change may be answered from before it: it is neither stored, nor given to who asks after.
    underWay = new Map()
  }

  async function fill(
    asked: Map<string, Promise<V>>,
    key: string,
    question: () => Promise<V>,
    factsOf: (answer: V) => AuthorityFacts,
    ttlOf: (answer: V) => number | undefined,
  ): Promise<V> {
    try {
      const answer = await question()
      if (asked === underWay) {
        if (answer === null || answer === false) refused.set(key, answer, {}, limits.refusalTtlMs)
        else granted.set(key, answer, factsOf(answer), Math.min(ttlOf(answer) ?? limits.ttlMs, limits.ttlMs))
      }
      return answer
    } finally {
      asked.delete(key)
    }
  }

  return {
    ask(key, question, factsOf, ttlOf = () => undefined) {
      const known = granted.get(key) ?? refused.get(key)
      if (known !== undefined) {
        fromCache.value += 1
        return Promise.resolve(known)
      }
      let answer = underWay.get(key)
      if (!answer) {
        fromBackend.value += 1
        answer = fill(underWay, key, question, factsOf, ttlOf)
        underWay.set(key, answer)
      }
      return answer
    },
    recall(key) {
      const known = granted.get(key) ?? undefined
      if (known !== undefined) fromCache.value += 1
      return known
    },
    forget(change) {
      forgetUnderWay()
      refused.clear()
      if (change) granted.evict(change)
    },
    clear() {
      forgetUnderWay()
      refused.clear()
      granted.clear()
    },
  }
}

function principalFacts(principal: Principal | null): AuthorityFacts {
  // Who somebody is rests on no channel; who a user is, on no domain either.
  return { principal, channelId: null, domainId: principal?.kind === 'client' ? principal.domainId : null }
}

/** Milliseconds until the token ends that somebody came with, so that it is not taken from the cache after that. */
function remainingMs(principal: Principal | null): number | undefined {
  if (principal?.kind !== 'user' || principal.expiresAtMs === undefined) return undefined
  return Math.max(1, principal.expiresAtMs - Date.now())
}
