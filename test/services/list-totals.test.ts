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
  for (const who of members) await ask(owner, joining(domain, who))
  await api.given.client(owner.token, domain)
  await api.expect(201, 'POST', `/${domain}/groups`, { token: owner.token, body: { name: 'g' } })
  return { domain, owner, members }
}

const ask = ({ token }: Person, [method, path, body]: Call) => api.call(method, path, { token, body })

const joining = (domain: string, who: Person): Call => [
  'POST',
  `/domains/${domain}/roles`,
  { role_name: `of ${who.id}`, optional_actions: ['read'], optional_members: [who.id] },
]

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

type Call = readonly [method: string, path: string, body?: unknown]

/** @returns what to ask for; nothing where there is nothing to pick from */
function callFor(world: World, { what, entity, role, who, reads }: Change): Call | undefined {
  const { domain } = world
  const person = pick(world.members, who) as Person
  const parent = pick(
    world.entities.filter(({ type }) => type === 'group'),
    role,
  )?.id
  const on = pick(world.entities, entity)
  const chosen = pick(world.roles, role)
  const at = (below: string) => on && `/${domain}/${on.type}s/${on.id}${below}`
  const roleAt = (below: string) =>
    chosen && `/${domain}/${chosen.type}s/${chosen.id}/roles/${chosen.role}${below}`
  const optional_actions = on?.type === 'client' ? reads.filter((word) => !word.includes('_')) : reads
  const members = [person.id]
  const calls: Record<Change['what'], readonly [string, string | undefined, unknown?]> = {
    'make an entity': ['POST', `/${domain}/${entity % 2 === 0 ? 'groups' : 'clients'}`, { name: 'it' }],
    'leave the domain': ['DELETE', `/domains/${domain}/roles`, { member_ids: members }],
    'join the domain': joining(domain, person),
    'make a role': [
      'POST',
      at('/roles'),
      { role_name: `r${role}`, optional_actions, optional_members: members },
    ],
    disable: ['POST', at('/disable')],
    enable: ['POST', at('/enable')],
    delete: ['DELETE', at('')],
    move: ['POST', parent && at('/parent'), { parent_id: parent, parent_group_id: parent }],
    'move out': ['DELETE', at('/parent')],
    'delete a role': ['DELETE', roleAt('')],
    'add a member': ['POST', roleAt('/members'), { members }],
    'remove a member': ['POST', roleAt('/members/delete'), { members }],
    'empty a role': ['POST', roleAt('/members/delete-all')],
    'let a role read': ['POST', roleAt('/actions'), { actions: ['read'] }],
    'let a role read no more': ['POST', roleAt('/actions/delete'), { actions: ['read'] }],
  }
  const [method, path, body] = calls[what]
  return path === undefined ? undefined : [method, path, body]
}

/** @returns the answer's status; refusals are answers like others */
async function apply(world: World, one: Change): Promise<number | undefined> {
  const call = callFor(world, one)
  return call && (await ask(world.owner, call)).status
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
        expect(answers.filter((status) => (status ?? 0) >= 500)).toEqual([])
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
