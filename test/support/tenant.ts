import { randomBytes, randomUUID } from 'node:crypto'
import type { Api } from './api.ts'
import { eventually } from './eventually.ts'
import type { TestGateway } from './gateway.ts'
import type { Kind } from './route-slots.ts'

/** An id, or a route where one may stand for it, of something of every kind. */
export type Ids = Readonly<Record<Kind, readonly string[]>>

export type Tenant = Awaited<ReturnType<typeof makeTenant>>

/**
 * A domain with something of everything in it, and the person who owns it all.
 *
 * @param mark stands in every name, and in what is published
 */
export async function makeTenant(api: Api, mark: string) {
  const person = await api.given.person()
  const other = await api.given.person()
  const { token } = person
  const make = async (status: number, path: string, body: unknown) =>
    (await api.expect(status, 'POST', path, { token, body })).body
  const named = { name: mark, tags: [mark], metadata: { mark } }
  const route = `r-${mark}`
  const { id: domain } = await make(201, '/domains', { ...named, route })
  const { id: group } = await make(201, `/${domain}/groups`, { ...named, description: mark })
  const client = await make(201, `/${domain}/clients`, {
    ...named,
    parent_group_id: group,
    private_metadata: { mark },
  })
  const { id: channel } = await make(201, `/${domain}/channels`, { ...named, route, parent_group_id: group })
  await api.given.connection(token, domain, channel, client.id)

  const role = async (place: string, members: readonly string[] = []) =>
    (
      await make(201, `${place}/roles`, {
        role_name: mark,
        optional_actions: ['read'],
        optional_members: members,
      })
    ).id as string
  const domainRole = await role(`/domains/${domain}`, [other.id])
  const [groupRole, clientRole, channelRole] = [
    await role(`/${domain}/groups/${group}`, [other.id]),
    await role(`/${domain}/clients/${client.id}`, [other.id]),
    await role(`/${domain}/channels/${channel}`, [other.id]),
  ]
  const invited = await api.given.person()
  await make(201, `/domains/${domain}/invitations`, { invitee_user_id: invited.id, role_id: domainRole })

  const pat = await make(201, '/pats', { name: mark, duration: '1h' })
  const scope = { entity_type: 'clients', domain_id: domain, entity_id: client.id, operation: 'view' }
  await api.expect(200, 'PATCH', `/pats/${pat.id}/scope/add`, { token, body: { scopes: [scope] } })
  const { body: scopes } = await api.expect(200, 'GET', `/pats/${pat.id}/scope`, { token })
  const { body: sessions } = await api.expect(200, 'GET', '/users/tokens/refresh-tokens', { token })

  const auth = `Client ${client.credentials.secret}`
  const topic = `m/${domain}/c/${channel}`
  for (const body of [`[{"n":"${mark}","v":1}]`, `{"${mark}":`]) {
    await api.expect(202, 'POST', `/${topic}`, { auth, body })
  }
  const letters = await eventually('a dead letter, and a message that is stored', async () => {
    const { body } = await api.expect(200, 'GET', `/${domain}/channels/${channel}/dead-letters`, { token })
    const stored = await api.expect(200, 'GET', `/${domain}/channels/${channel}/messages`, { token })
    return body.total === 1 && stored.body.total === 1 && body.dead_letters
  })

  const ids: Ids = {
    domain: [domain, route],
    group: [group],
    client: [client.id],
    channel: [channel, route],
    user: [other.id],
    'domain role': [domainRole],
    'group role': [groupRole],
    'client role': [clientRole],
    'channel role': [channelRole],
    pat: [pat.id],
    scope: [scopes.scopes[0].id],
    session: [sessions.refresh_tokens[0].id],
    'dead letter': [String(letters[0].sequence)],
    topic: [topic],
  }
  // Short ones are found in anything.
  const long = Object.values(ids).flatMap((some) => some.filter((id) => id.length > 8))
  const secrets = [mark, client.credentials.secret, pat.secret, `${other.username}@example.com`, ...long]
  return { person, other, token, auth, ids, secrets }
}

/** Ids of nothing. */
export function noIds(): Ids {
  const role = (type: string) => [`${type}_${randomBytes(15).toString('base64url')}`]
  const route = `r${randomBytes(6).toString('hex')}`
  return {
    domain: [randomUUID(), route],
    group: [randomUUID()],
    client: [randomUUID()],
    channel: [randomUUID(), route],
    user: [randomUUID()],
    'domain role': role('domain'),
    'group role': role('group'),
    'client role': role('client'),
    'channel role': role('channel'),
    pat: [randomUUID()],
    scope: [randomUUID()],
    session: [randomUUID()],
    'dead letter': ['987654'],
    topic: [`m/${randomUUID()}/c/${randomUUID()}`],
  }
}

/** All that is written down of a tenant, in the order of its own. */
export async function recordsOf({ ids, person, other }: Tenant, gateway: TestGateway): Promise<unknown> {
  const tables = ['groups', 'clients', 'channels', 'roles', 'role_members', 'invitations', 'entity_counts']
  const rows = async (text: string, value: unknown) =>
    (
      await gateway.ground.query(`select to_jsonb(t) - 'last_used_at' as row from (${text}) t order by 1`, [
        value,
      ])
    ).rows
  const [domain] = ids.domain
  const ofDomain = tables.map((table) => rows(`select * from ${table} where domain_id = $1`, domain))
  return Promise.all([
    ...ofDomain,
    rows('select * from domains where id = $1', domain),
    rows('select a.* from role_actions a join roles r on r.id = a.role_id where r.domain_id = $1', domain),
    rows('select n.* from connections n join clients c on c.id = n.client_id where c.domain_id = $1', domain),
    rows('select * from users where id = any ($1)', [person.id, other.id]),
    rows('select * from pats where user_id = $1', person.id),
    rows('select s.* from pat_scopes s join pats p on p.id = s.pat_id where p.user_id = $1', person.id),
    rows('select * from sessions where user_id = $1', person.id),
    rows('select * from journal where domain_id = $1', domain),
  ])
}
