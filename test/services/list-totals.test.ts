import * as fc from 'fast-check'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../platform/db/connect.ts'
import { createApi } from '../support/api.ts'
import type { Api, Person } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
let db: Client
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  db = createClient(gateway.ground.databaseUrl, 'test')
  await db.connect()
})
afterAll(async () => {
  await db.end()
  await gateway.stop()
})

/** What is done at once to things that are picked by number from those that are there. */
const CHANGES = [
  'make an entity',
  'make a role',
  'make a role',
  'delete a role',
  'add a member',
  'add a member',
  'remove a member',
  'empty a role',
  'let a role read',
  'let a role read',
  'let a role read no more',
  'disable',
  'enable',
  'delete',
  'move',
  'move out',
  'leave the domain',
  'join the domain',
] as const

const change = fc.record({
  what: fc.constantFrom(...CHANGES),
  entity: fc.nat(),
  role: fc.nat(),
  who: fc.nat(),
  reads: fc.constantFrom(['read'], ['read', 'delete'], ['client_read', 'subgroup_read'], []),
})
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

interface Entity {
  readonly type: 'group' | 'client'
  readonly id: string
}
interface Role extends Entity {
  readonly role: string
}
interface World {
  readonly domain: string
  readonly owner: Person
  readonly members: readonly Person[]
  readonly entities: readonly Entity[]
  readonly roles: readonly Role[]
}

async function makeWorld() {
  const owner = await api.given.person()
  const { id: domain } = await api.given.domain(owner.token)
  const members = [await api.given.person(), await api.given.person()]
  for (const who of members) await join(domain, owner, who)
  await api.given.client(owner.token, domain)
  await api.expect(201, 'POST', `/${domain}/groups`, { token: owner.token, body: { name: 'g' } })
  return { domain, owner, members }
}

const join = (domain: string, owner: Person, who: Person) =>
  api.call('POST', `/domains/${domain}/roles`, {
    token: owner.token,
    body: { role_name: `of ${who.id}`, optional_actions: ['read'], optional_members: [who.id] },
  })

async function look(domain: string): Promise<Pick<World, 'entities' | 'roles'>> {
  const entities = await db.query<Entity>(
    `select type, id from entities where domain_id = $1 and type in ('group', 'client') and status <> 'deleted' order by id`,
    [domain],
  )
  const roles = await db.query<Role>(
    `select entity_type as type, entity_id as id, id as role from roles
     where domain_id = $1 and entity_type in ('group', 'client') order by id`,
    [domain],
  )
  return { entities: entities.rows, roles: roles.rows }
}

const pick = <T>(from: readonly T[], number: number) => from[number % from.length]

/** @returns the answer's status; refusals are answers like others */
async function apply(world: World, { what, entity, role, who, reads }: Change): Promise<number> {
  const { domain, owner } = world
  const call = async (method: string, path: string, body?: unknown) =>
    (await api.call(method, path, { token: owner.token, body })).status
  const person = pick(world.members, who) as Person
  const on = pick(world.entities, entity)
  const chosen = pick(world.roles, role)
  const at = on && `/${domain}/${on.type}s/${on.id}`
  const roleAt = chosen && `/${domain}/${chosen.type}s/${chosen.id}/roles/${chosen.role}`
  switch (what) {
    case 'make an entity':
      return call('POST', `/${domain}/${entity % 2 === 0 ? 'groups' : 'clients'}`, { name: 'it' })
    case 'leave the domain':
      return call('DELETE', `/domains/${domain}/roles`, { member_ids: [person.id] })
    case 'join the domain':
      return (await join(domain, owner, person)).status
    case 'make a role': {
      const optional_actions = on?.type === 'client' ? reads.filter((word) => !word.includes('_')) : reads
      const body = { role_name: `r${role}`, optional_actions, optional_members: [person.id] }
      return at === undefined ? 0 : call('POST', `${at}/roles`, body)
    }
    case 'disable':
    case 'enable':
      return at === undefined ? 0 : call('POST', `${at}/${what}`)
    case 'delete':
      return at === undefined ? 0 : call('DELETE', at)
    case 'move': {
      const groups = world.entities.filter(({ type }) => type === 'group')
      const parent = pick(groups, role)?.id
      return at === undefined || parent === undefined
        ? 0
        : call('POST', `${at}/parent`, { parent_id: parent, parent_group_id: parent })
    }
    case 'move out':
      return at === undefined ? 0 : call('DELETE', `${at}/parent`)
    default:
  }
  if (roleAt === undefined) return 0
  switch (what) {
    case 'delete a role':
      return call('DELETE', roleAt)
    case 'add a member':
      return call('POST', `${roleAt}/members`, { members: [person.id] })
    case 'remove a member':
      return call('POST', `${roleAt}/members/delete`, { members: [person.id] })
    case 'empty a role':
      return call('POST', `${roleAt}/members/delete-all`)
    case 'let a role read':
      return call('POST', `${roleAt}/actions`, { actions: ['read'] })
    case 'let a role read no more':
      return call('POST', `${roleAt}/actions/delete`, { actions: ['read'] })
    default:
      return 0
  }
}

/** Contract A.2 once more, by looking at each entity. */
const COUNTED = {
  clients: `select count(*)::int as total from clients e where e.domain_id = $1 and e.status = any ($3) and exists (
    select from role_members m join role_actions a on a.role_id = m.role_id where m.user_id = $2 and (
      (m.entity_id = e.id and a.action = 'read')
      or (m.entity_id = e.parent_group_id and a.action = 'client_read')
      or (m.entity_id <> e.parent_group_id and a.action = 'subgroup_client_read'
          and m.entity_id = any (array(select unnest(g.path) from groups g where g.id = e.parent_group_id)))
      or (m.entity_id = e.domain_id and a.action = 'client_read')))`,
  groups: `select count(*)::int as total from groups e where e.domain_id = $1 and e.status = any ($3) and exists (
    select from role_members m join role_actions a on a.role_id = m.role_id where m.user_id = $2 and (
      (m.entity_id = e.id and a.action = 'read')
      or (m.entity_id <> e.id and m.entity_id = any (e.path) and a.action = 'subgroup_read')
      or (m.entity_id = e.domain_id and a.action = 'group_read')))`,
} as const

const STATUSES = { enabled: ['enabled'], disabled: ['disabled'], all: ['enabled', 'disabled'] } as const

async function findWrongTotals({ domain, owner, members }: Pick<World, 'domain' | 'owner' | 'members'>) {
  const wrong: unknown[] = []
  for (const who of [owner, ...members]) {
    for (const kind of ['clients', 'groups'] as const) {
      for (const status of ['enabled', 'disabled', 'all'] as const) {
        const path = `/${domain}/${kind}?limit=100&status=${status}`
        const { status: answered, body } = await api.call('GET', path, { token: who.token })
        // Whoever has left the domain is told nothing.
        if (answered === 403) continue
        const { rows } = await db.query<{ total: number }>(COUNTED[kind], [domain, who.id, STATUSES[status]])
        const counted = rows[0]?.total
        if (body.total !== counted || body[kind].length !== counted) {
          wrong.push({ kind, status, told: body.total, listed: body[kind].length, counted })
        }
      }
    }
  }
  return wrong
}

/** Where the numbers that are kept are not the numbers of what is there. */
async function findWrongCounts() {
  const { rows } = await db.query(`
    select * from (
      select user_id, entity_type, domain_id, count(*) from role_members where reads group by 1, 2, 3
    ) counted full join (
      select user_id, entity_type, domain_id, sum(count)::bigint as kept from reading_counts group by 1, 2, 3
    ) kept using (user_id, entity_type, domain_id)
    where coalesce(count, 0) <> coalesce(kept, 0)`)
  return rows
}

describe('totals of lists', () => {
  it('are those of a naive count, whatever is done at the same time', async () => {
    const batches = fc.array(fc.array(change, { minLength: 2, maxLength: 8 }), {
      minLength: 4,
      maxLength: 10,
    })
    const run = async (all: readonly (readonly Change[])[]) => {
      const world = await makeWorld()
      for (const batch of all) {
        const seen = { ...world, ...(await look(world.domain)) }
        const answers = await Promise.all(batch.map((one) => apply(seen, one)))
        expect(answers.filter((status) => status >= 500)).toEqual([])
        expect(await findWrongTotals(world)).toEqual([])
        expect(await findWrongCounts()).toEqual([])
      }
    }
    await fc.assert(fc.asyncProperty(batches, run), { numRuns: 4, endOnFailure: true })
  }, 240_000)

  it('hold nothing of what is deleted while roles on it are made and filled', async () => {
    const { domain, owner, members } = await makeWorld()
    const { token } = owner
    const one = async () => {
      const { id } = await api.given.client(token, domain)
      const roles = `/${domain}/clients/${id}/roles`
      const make = (name: string, who?: Person) =>
        api.call('POST', roles, {
          token,
          body: { role_name: name, optional_actions: ['read'], optional_members: who ? [who.id] : [] },
        })
      const { body: role } = await make('first')
      return Promise.all([
        make('second', members[0]),
        api.call('POST', `${roles}/${role.id}/members`, { token, body: { members: [members[1]?.id] } }),
        api.call('DELETE', `/${domain}/clients/${id}`, { token }),
      ])
    }
    const answers = (await Promise.all(Array.from({ length: 40 }, one))).flat()
    expect(answers.filter(({ status }) => status >= 500)).toEqual([])
    expect(await findWrongTotals({ domain, owner, members })).toEqual([])
    expect(await findWrongCounts()).toEqual([])
  }, 60_000)

  it('hold nothing of a domain that is deleted', async () => {
    const { domain, owner, members } = await makeWorld()
    const { entities } = await look(domain)
    const place = `/${domain}/${entities[0]?.type}s/${entities[0]?.id}/roles`
    const body = { role_name: 'r', optional_actions: ['read'], optional_members: [members[0]?.id] }
    await Promise.all([
      api.call('POST', place, { token: owner.token, body }),
      api.expect(204, 'DELETE', `/domains/${domain}`, { token: owner.token }),
    ])
    const { body: all } = await api.expect(200, 'GET', '/clients', { token: members[0]?.token })
    expect(all.total).toBe(0)
    expect(await findWrongCounts()).toEqual([])
  })
})
