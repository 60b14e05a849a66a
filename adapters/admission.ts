import { Forbidden, NotFound, Unauthenticated } from '../platform/errors.ts'
import type { ChannelAddress, Doorkeeper, Principal } from './authority.ts'
import type { Presented } from '../platform/http/credentials.ts'
import { toCredentials } from './credentials.ts'
import type { Topic } from './topics.ts'

/** Who is at the door, and at which channel. */
export interface Admission {
  readonly principal: Principal
  readonly address: ChannelAddress
}

/**
 * Finds out who wants to use which channel; whether he may is the next question.
 *
 * Bad credentials give the same answer whether the channel exists or not. That a channel does not exist is told only to a
 * client of the domain that the topic names; to others an unknown channel looks like one they may not use.
 *
 * @param from the address of whoever is at the door
 * @throws {RateLimited} too many secrets that did not hold came from there, or for the client
 * @throws {Unauthenticated} no credentials, or credentials that do not hold in the topic's domain
 * @throws {NotFound} the domain has no such channel
 * @throws {Forbidden} there is no such channel, and that is not the caller's business
 */
export async function admit(
  authority: Doorkeeper,
  presented: Presented | undefined,
  topic: Topic,
  from: string,
): Promise<Admission> {
  if (!presented) throw new Unauthenticated()
  const address = await authority.findChannel({ domain: topic.domain, channel: topic.channel })
  const domain = address?.domainId ?? topic.domain?.toLowerCase()
  // A bare secret counts in a domain, and an unknown channel of the older form names none: it is asked about all the same,
  // because who tries secrets is to learn nothing of which channels there are.
  const principal = await authority.authenticate(toCredentials(presented, domain ?? ''), from)
  if (!principal) throw new Unauthenticated()
  if (address) return { principal, address }
  const isOfDomain =
    principal.kind === 'client' && (presented.kind === 'secret' || principal.domainId === domain)
  throw isOfDomain ? new NotFound('channel not found') : new Forbidden()
}

/** Whether he may publish there, if all of that is remembered: `undefined` when it has to be asked. */
export function recallPublisher(
  { memory }: Doorkeeper,
  presented: Presented,
  topic: Topic,
): Admission | undefined {
  const address = memory.findChannel({ domain: topic.domain, channel: topic.channel })
  const principal = address && memory.authenticate(toCredentials(presented, address.domainId))
  if (!principal) return undefined
  const { channelId } = address
  return memory.authorize({ principal, channelId, action: 'publish' }) ? { principal, address } : undefined
}

/** {@link admit}, and the question whether he may publish there. */
export async function admitPublisher(
  authority: Doorkeeper,
  presented: Presented,
  topic: Topic,
  from: string,
): Promise<Admission> {
  const known = recallPublisher(authority, presented, topic)
  if (known) return known
  const admission = await admit(authority, presented, topic, from)
  const { principal, address } = admission
  if (await authority.authorize({ principal, channelId: address.channelId, action: 'publish' }))
    return admission
  throw new Forbidden()
}
