import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { nowNs } from '../../platform/bus/message.ts'
import { MethodNotAllowed, Unauthenticated } from '../../platform/errors.ts'
import type { DomainError } from '../../platform/errors.ts'
import type { AddressReader } from '../../platform/http/client-address.ts'
import { bearerAsSecret, readCredentials, splitUrl } from '../../platform/http/credentials.ts'
import type { Presented } from '../../platform/http/credentials.ts'
import type { Logger } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { admitPublisher } from '../admission.ts'
import type { Admission } from '../admission.ts'
import type { Doorkeeper } from '../authority.ts'
import { isAcceptedContentType, readContentType, SENML_TYPES } from '../content-type.ts'
import { toCredentials } from '../credentials.ts'
import type { Publish } from '../publish.ts'
import type { Holder } from '../quota.ts'
import { createRefusals } from '../refusals.ts'
import { TOPIC_LIMITS } from '../topics.ts'
import type { Topic, TopicLimits } from '../topics.ts'
import type { Traffic } from '../traffic.ts'
import { answerEmpty, answerError, answerPreflight, createAnswerTexts } from './answer.ts'
import { discardBody, readBody } from './body.ts'
import { envelopeLimitBytes, readEnvelope } from './envelope.ts'
import { KnownPublisher } from './known-publisher.ts'
import { createRepeats } from './repeats.ts'
import { createRouteReader } from './routes.ts'
import type { Route } from './routes.ts'

export interface HttpAdapter {
  /** @returns `false` when the request is none of ours; it is untouched then */
  handle(req: IncomingMessage, res: ServerResponse): boolean
  /** Leaves all requests to {@link handle} from now on, and resolves when those it took itself are answered. */
  stop(): Promise<void>
}

export interface HttpAdapterOptions {
  readonly authority: Doorkeeper
  readonly addressOf: AddressReader
  /** Told of connections whose other end has shown who he is. @returns `false` when it may not be kept */
  readonly letIn: (socket: Socket, holder: Holder) => boolean
  readonly publish: Publish
  readonly traffic: Traffic
  readonly log: Logger
  readonly metrics: Metrics
  readonly maxPayloadBytes: number
  /** How long the server keeps a connection on which nothing comes. */
  readonly keepAliveS: number
  readonly topics?: TopicLimits
  /** Looks into a payload that says it is SenML; the error names the record and the field (api.md D31). */
  readonly checkPayload: (contentType: string, payload: Uint8Array) => DomainError | undefined
}

/** What is read of an envelope before its sender is known: the topic in it says in which domain his secret counts. */
const STRANGER_LIMIT_BYTES = 16_384

/**
 * Devices publish over HTTP (api.md 11). Plain `node:http` without Koa, since this is the path that thousands of requests a
 * second take. The answer is "accepted" only after JetStream has the message on file.
 */
export function createHttpAdapter(options: HttpAdapterOptions): HttpAdapter {
  const { authority, addressOf, traffic, metrics, maxPayloadBytes, topics = TOPIC_LIMITS } = options
  const refusals = createRefusals({ ...options, protocol: 'http' })
  const received = metrics.received('http')
  const routeOf = createRouteReader(topics)

  function publish(
    { principal, address }: Admission,
    topic: Topic,
    contentType: string,
    { payload, qos = 0, retain = false }: { payload: Uint8Array; qos?: 0 | 1 | 2; retain?: boolean },
    done: (error?: Error) => void,
  ): void {
    options.publish(
      {
        domainId: address.domainId,
        channelId: address.channelId,
        levels: topic.levels,
        publisher: principal.id,
        protocol: 'http',
        contentType,
        receivedAtNs: nowNs(),
        payload,
        qos,
        retain,
      },
      (error) => {
        if (!error) {
          received.value += 1
          if (principal.kind === 'client') traffic.noteRequest(principal.id)
        }
        done(error)
      },
    )
  }

  function publishAndWait(
    admission: Admission,
    topic: Topic,
    contentType: string,
    message: { payload: Uint8Array; qos?: 0 | 1 | 2; retain?: boolean },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      publish(admission, topic, contentType, message, (error) => {
        if (error) reject(error)
        else resolve()
      })
    })
  }

  const flawOf = (contentType: string, payload: Uint8Array): DomainError | undefined =>
    SENML_TYPES.has(contentType) ? options.checkPayload(contentType, payload) : undefined

  const texts = createAnswerTexts(options.keepAliveS)
  const repeats = createRepeats<{ topic: Topic; contentType: string; publisher: KnownPublisher }>({
    maxBodyBytes: maxPayloadBytes,
    read(path, type) {
      const route = routeOf(path)
      if (route?.kind !== 'topic' || route.topic instanceof Error || !isAcceptedContentType(type))
        return undefined
      const { topic } = route
      return { topic, contentType: readContentType(type), publisher: new KnownPublisher(authority, topic) }
    },
    serve({ topic, contentType, publisher }, authorization, payload, answered) {
      const admission = publisher.recall(authorization)
      // Whatever is wrong with it is found again, and said, on the long way.
      if (!admission || payload.length === 0) return false
      if (flawOf(contentType, payload)) return false
      const answer = (error?: unknown): void => {
        if (error !== undefined) refusals.noteError(error, { topic: topic.prefix })
        answered(error === undefined ? texts.accepted() : texts.error(error))
      }
      try {
        publish(admission, topic, contentType, { payload }, answer)
      } catch (error) {
        answer(error)
      }
      return true
    },
  })

  async function publishBody(
    req: IncomingMessage,
    topic: Topic | Error,
    presented: Presented,
  ): Promise<Holder> {
    if (topic instanceof Error) throw topic
    // All of this before the body is read: a stranger's payload costs us nothing.
    const admission = await admitPublisher(authority, presented, topic, addressOf(req))
    const contentType = readContentType(req.headers['content-type'])
    const payload = await readBody(req, maxPayloadBytes)
    const flaw = flawOf(contentType, payload)
    if (flaw) throw flaw
    await publishAndWait(admission, topic, contentType, { payload })
    return holderOf(admission)
  }

  async function publishEnvelope(req: IncomingMessage, presented: Presented): Promise<Holder> {
    const domain = req.headers['x-fluxmq-username'] ?? ''
    let limitBytes = STRANGER_LIMIT_BYTES
    if (domain !== '' || presented.kind !== 'secret') {
      const credentials = toCredentials(presented, String(domain))
      if (!(await authority.authenticate(credentials, addressOf(req)))) throw new Unauthenticated()
      limitBytes = envelopeLimitBytes(maxPayloadBytes)
    }
    const message = readEnvelope(await readBody(req, limitBytes), maxPayloadBytes, topics)
    // Once more, now in the domain that the topic names.
    const admission = await admitPublisher(authority, presented, message.topic, addressOf(req))
    await publishAndWait(admission, message.topic, '', message)
    return holderOf(admission)
  }

  async function checkHealth(req: IncomingMessage, domain: string, presented: Presented): Promise<Holder> {
    const principal = await authority.authenticate(toCredentials(presented, domain), addressOf(req))
    if (principal?.kind !== 'client') throw new Unauthenticated()
    return { clientId: principal.id, domainId: principal.domainId }
  }

  /** @returns who asked */
  async function serve(req: IncomingMessage, route: Route, query: URLSearchParams): Promise<Holder> {
    if (req.method !== 'POST') throw new MethodNotAllowed(['POST'])
    const presented = readCredentials(req.headers.authorization, query.get('authorization'))
    if (!presented) throw new Unauthenticated()
    if (route.kind === 'topic') return publishBody(req, route.topic, presented)
    if (route.kind === 'health') return checkHealth(req, route.domain, presented)
    return publishEnvelope(req, bearerAsSecret(presented))
  }

  async function answer(
    req: IncomingMessage,
    res: ServerResponse,
    route: Route,
    query: URLSearchParams,
    number: number,
  ): Promise<void> {
    try {
      const holder = await serve(req, route, query)
      const mayKeep = options.letIn(req.socket, holder)
      // A message that is on file is never refused: who has too many connections is served on one more, which ends. All
      // clients know that (RFC 9112 section 9.6), and those that send from many processes at once go on, only slower.
      if (!mayKeep) res.setHeader('Connection', 'close')
      answerEmpty(res, route.kind === 'topic' ? 202 : 200)
      // The health check leaves a body unread.
      discardBody(req)
      if (mayKeep && route.kind === 'topic') repeats.follow(req, res, number)
    } catch (error) {
      const topic = route.kind === 'topic' && !(route.topic instanceof Error) ? route.topic.prefix : undefined
      refusals.noteError(error, { address: addressOf(req), topic })
      answerError(res, error)
      discardBody(req)
    }
  }

  return {
    handle(req, res) {
      const number = repeats.noteRequest(req, res)
      const { path, query } = splitUrl(req.url ?? '/')
      const route = routeOf(path)
      if (!route) return false
      if (req.method !== 'POST' && route.kind === 'topic' && route.isShared) return false
      if (req.method === 'OPTIONS') {
        answerPreflight(res)
        return true
      }
      answer(req, res, route, query, number).catch((error: unknown) => {
        options.log.error({ err: error }, 'request could not be answered')
        req.socket.destroy()
      })
      return true
    },
    stop: () => repeats.stop(),
  }
}

const holderOf = ({ principal, address }: Admission): Holder => ({
  clientId: principal.id,
  domainId: address.domainId,
})
