import { DiscardPolicy, NatsError, RetentionPolicy, StorageType } from 'nats'
import type { JetStreamManager, StreamConfig, StreamInfo } from 'nats'
import { Unavailable } from '../errors.ts'
import type { Bus } from './connect.ts'

export const MESSAGES_STREAM = 'messages'
export const EVENTS_STREAM = 'events'
export const DEADLETTERS_STREAM = 'deadletters'
/** What outlives connections, one message a session. */
export const SESSIONS_STREAM = 'sessions'
/** Retained messages, one a topic. */
export const RETAINED_STREAM = 'retained'

export interface StreamsOptions {
  /** Room for messages that the writer has not purged yet. When it is full, publishers are refused. */
  readonly messagesMaxBytes?: number
  readonly eventsMaxBytes?: number
  readonly deadlettersMaxBytes?: number
  /** Copies of each stream, on servers of their own; 1, 3 or 5. */
  readonly replicas?: number
}

const MIB = 1_048_576
const EVENTS_MAX_AGE_NS = 7 * 24 * 3_600 * 1e9

// JetStream API errors, `err_code` of nats-server's server/errors.json.
const STREAM_NOT_FOUND = 10_059
const STREAM_NAME_IN_USE = 10_058
const NO_STORAGE = 10_047
const NO_STORAGE_IN_CLUSTER = 10_005
const REPLICAS_NOT_SUPPORTED = 10_074

/**
 * Makes the streams that Sluice stands on, or brings them to this configuration. Any number of processes may do so at once.
 *
 * Uses nothing that nats-server 2.9.10 does not know.
 *
 * @param onMade told of each stream that was not there
 * @throws {Unavailable} JetStream is not enabled or does not answer, has no room for a stream of this size, or has fewer
 *   servers than copies are asked for; then nothing was changed
 */
export async function ensureStreams(
  bus: Bus,
  options: StreamsOptions = {},
  onMade: (stream: string) => void = () => undefined,
): Promise<void> {
  const { replicas = 1 } = options
  const manager = await bus.connection.jetstreamManager({ checkAPI: false, timeout: 10_000 })
  const ensure = (wanted: Wanted) => ensureStream(bus, manager, wanted, onMade)
  // What was acknowledged to a device waits here for the writer: nothing may age out or make room for newer messages.
  await ensure({
    ...FILE_STREAM,
    name: MESSAGES_STREAM,
    subjects: ['m.>'],
    discard: DiscardPolicy.New,
    max_bytes: options.messagesMaxBytes ?? 4_096 * MIB,
    max_age: 0,
    num_replicas: replicas,
  })
  await ensure({
    ...FILE_STREAM,
    name: EVENTS_STREAM,
    subjects: ['events.>'],
    discard: DiscardPolicy.Old,
    max_bytes: options.eventsMaxBytes ?? 128 * MIB,
    max_age: EVENTS_MAX_AGE_NS,
    num_replicas: replicas,
  })
  await ensure({
    ...FILE_STREAM,
    name: DEADLETTERS_STREAM,
    subjects: ['deadletters.>'],
    discard: DiscardPolicy.Old,
    max_bytes: options.deadlettersMaxBytes ?? 128 * MIB,
    max_age: 0,
    num_replicas: replicas,
  })
  for (const name of [SESSIONS_STREAM, RETAINED_STREAM]) {
    await ensure({
      ...FILE_STREAM,
      name,
      subjects: [`${name}.>`],
      discard: DiscardPolicy.New,
      max_bytes: LAST_VALUES_MAX_BYTES,
      max_age: 0,
      max_msgs_per_subject: 1,
      num_replicas: replicas,
    })
  }
}

/** All of them, in the order of the documentation. */
export const STREAMS = [
  MESSAGES_STREAM,
  EVENTS_STREAM,
  DEADLETTERS_STREAM,
  SESSIONS_STREAM,
  RETAINED_STREAM,
] as const

export interface StreamState {
  readonly createdAt: string
  readonly lastSeq: number
  readonly messages: number
  readonly bytes: number
  readonly maxBytes: number
}

/** What the server says of the streams of Sluice, by name. */
export async function readStreams(bus: Bus): Promise<ReadonlyMap<string, StreamState>> {
  const manager = await bus.connection.jetstreamManager({ checkAPI: false, timeout: 2_000 })
  const states = STREAMS.map(async (name): Promise<[string, StreamState]> => {
    const { config, created, state } = await manager.streams.info(name)
    const { messages, bytes, last_seq: lastSeq } = state
    return [name, { createdAt: created, lastSeq, messages, bytes, maxBytes: config.max_bytes }]
  })
  return new Map(await Promise.all(states))
}

/** Of each of the streams that keep the last message of every subject. */
const LAST_VALUES_MAX_BYTES = 512 * MIB

const FILE_STREAM = { retention: RetentionPolicy.Limits, storage: StorageType.File } as const

type Wanted = Pick<
  StreamConfig,
  'name' | 'subjects' | 'retention' | 'storage' | 'discard' | 'max_bytes' | 'max_age' | 'num_replicas'
> &
  Partial<Pick<StreamConfig, 'max_msgs_per_subject'>>

async function ensureStream(
  bus: Bus,
  manager: JetStreamManager,
  wanted: Wanted,
  onMade: (stream: string) => void,
): Promise<void> {
  try {
    const present = (await find(manager, wanted.name)) ?? (await create(manager, wanted))
    if (present) await update(bus, manager, wanted, present)
    else onMade(wanted.name)
  } catch (error) {
    throw explained(error, wanted)
  }
}

async function find(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(name)
  } catch (error) {
    if (errorCode(error) === STREAM_NOT_FOUND) return undefined
    throw error
  }
}

/** @returns the stream that somebody else has made in the meantime, in another configuration; else `undefined` */
async function create(manager: JetStreamManager, wanted: Wanted): Promise<StreamInfo | undefined> {
  try {
    await manager.streams.add(wanted)
    return undefined
  } catch (error) {
    if (errorCode(error) === STREAM_NAME_IN_USE) return find(manager, wanted.name)
    throw error
  }
}

async function update(
  bus: Bus,
  manager: JetStreamManager,
  wanted: Wanted,
  { config, state, cluster }: StreamInfo,
): Promise<void> {
  const { name } = wanted
  // Servers before 2.15 take it all the same, and find at their next start that they cannot read the stream any more.
  if (wanted.num_replicas > 1 && !cluster) throw notClustered(wanted)
  let maxBytes = wanted.max_bytes
  // A server that is told to make a stream smaller than its content deletes from the front, acknowledged messages too.
  if (wanted.discard === DiscardPolicy.New && state.bytes > maxBytes) {
    bus.log.warn(
      { stream: name, bytes: state.bytes, maxBytes },
      'stream holds more than its new bound; bound kept',
    )
    maxBytes = config.max_bytes
  }
  const hasSubjects = config.subjects.join() === wanted.subjects.join()
  const isSame =
    hasSubjects &&
    config.max_bytes === maxBytes &&
    config.max_age === wanted.max_age &&
    config.discard === wanted.discard &&
    config.num_replicas === wanted.num_replicas
  if (isSame) return
  try {
    await manager.streams.update(name, {
      subjects: wanted.subjects,
      discard: wanted.discard,
      max_bytes: maxBytes,
      max_age: wanted.max_age,
      num_replicas: wanted.num_replicas,
    })
    bus.log.info({ stream: name }, 'stream updated')
  } catch (error) {
    // As it stands the stream still serves, if it takes the subjects: an operator may have pinned its settings.
    if (errorCode(error) === undefined || !hasSubjects) throw error
    bus.log.warn({ err: error, stream: name }, 'stream kept as it was: the server refuses the change')
  }
}

function errorCode(error: unknown): number | undefined {
  return error instanceof NatsError ? error.api_error?.err_code : undefined
}

function notClustered({ num_replicas: replicas }: Wanted, options?: ErrorOptions): Unavailable {
  return new Unavailable(
    `SLUICE_STREAM_REPLICAS is ${replicas}, and there is one NATS server, which is part of no cluster: set it to 1, or run a cluster of ${replicas}`,
    options,
  )
}

function explained(error: unknown, wanted: Wanted): Error {
  const { name, max_bytes: maxBytes, num_replicas: replicas } = wanted
  if (error instanceof Unavailable) return error
  const code = errorCode(error)
  if (code === REPLICAS_NOT_SUPPORTED) return notClustered(wanted, { cause: error })
  // The server says the same of too little room and of too few servers.
  if (code === NO_STORAGE_IN_CLUSTER && replicas > 1) {
    return new Unavailable(
      `the NATS cluster has not ${replicas} servers (SLUICE_STREAM_REPLICAS) with room for stream "${name}" of ${maxBytes} bytes: add servers, or make the setting, the stream or their max_file_store fit`,
      { cause: error },
    )
  }
  if (code === NO_STORAGE || code === NO_STORAGE_IN_CLUSTER) {
    return new Unavailable(
      `JetStream has no room for stream "${name}" of ${maxBytes} bytes: make the stream smaller or the server's max_file_store larger`,
      { cause: error },
    )
  }
  if (error instanceof NatsError && (error.code === '503' || error.api_error?.code === 503)) {
    return new Unavailable(`stream "${name}": JetStream is not enabled on the NATS server, or not ready`, {
      cause: error,
    })
  }
  return new Unavailable(`stream "${name}" could not be made: ${(error as Error).message}`, { cause: error })
}
