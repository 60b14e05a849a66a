import { Forbidden, Unauthenticated } from '../../platform/errors.ts'
import { isUuid } from '../../platform/identifiers.ts'
import type { Action, Authority, ChannelAddress, Credentials, Principal } from '../authority.ts'
import { parseTopicName } from '../topics.ts'
import type { TopicLimits } from '../topics.ts'
import type { Connect } from './connect-packet.ts'

export type ClientPrincipal = Principal & { kind: 'client' }

/**
 * The channel that a topic names, if the client may do this there now.
 *
 * @throws {Forbidden} it may not, or there is no such channel: both look the same
 * @throws {Unavailable}
 */
export async function findAllowed(
  authority: Authority,
  principal: ClientPrincipal,
  { domain, channel }: { readonly domain: string | undefined; readonly channel: string },
  action: Action,
): Promise<ChannelAddress> {
  const address = await authority.findChannel({ domain, channel })
  if (!address) throw new Forbidden()
  if (!(await authority.authorize({ principal, channelId: address.channelId, action }))) throw new Forbidden()
  return address
}

/**
 * What the client proves with who it is: a certificate that names it, or else client id and secret as user name and password.
 *
 * @param certifiedId whom its certificate names; a password is not looked at then
 * @throws {Unauthenticated} one is missing, the user name is no client id, or not the one of the certificate
 */
export function credentialsOf(
  { username, password }: Pick<Connect, 'username' | 'password'>,
  certifiedId: string | undefined,
): Credentials {
  if (certifiedId !== undefined) {
    if (username !== undefined && username.toLowerCase() !== certifiedId) throw new Unauthenticated()
    return { kind: 'certificate', clientId: certifiedId }
  }
  if (username === undefined || password === undefined || password === '' || !isUuid(username)) {
    throw new Unauthenticated()
  }
  return { kind: 'client', clientId: username.toLowerCase(), secret: password }
}

/**
 * Who connects, after the will, if any, was found to be one that the client may publish.
 *
 * @param from the address of the connection
 * @throws {RateLimited} too many secrets that did not hold came from there, or for the client
 * @throws {Unauthenticated} the credentials do not hold
 * @throws {InvalidTopic} the will's topic
 * @throws {Forbidden} the will
 * @throws {Unavailable}
 */
export async function admit(
  authority: Authority,
  credentials: Credentials,
  connect: Connect,
  { from, topics }: { from: string; topics: TopicLimits },
): Promise<ClientPrincipal> {
  const principal = await authority.authenticate(credentials, from)
  if (principal?.kind !== 'client') throw new Unauthenticated()
  if (connect.will) {
    await findAllowed(authority, principal, parseTopicName(connect.will.topic, topics), 'publish')
  }
  return principal
}
