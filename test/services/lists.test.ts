import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api, Person } from '../support/api.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { withAdmin } from '../support/postgres.ts'
import { giveRole } from '../support/roles.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

const KINDS = ['clients', 'channels', 'groups'] as const
type Kind = (typeof KINDS)[number]
type Actions = Partial<Record<'domain' | 'entity' | 'parent' | 'above', string[]>>

/**
 * A tree `above > parent > inner`, in `parent` an entity called "in", outside of all groups one called "out", and a member
 * of the domain who holds what is asked for on "in" and on what is above it.
 */
async function place(kind: Kind, actions: Actions = {}) {
  const owner = await api.given.person()
  const domain = await api.given.domain(owner.token)
  const create = async (path: string, body: Record<string, unknown>) =>
    (await api.expect(201, 'POST', `/${domain.id}/${path}`, { token: owner.token, body })).body
  const above = await create('groups', { name: 'above' })
  const parent = await create('groups', { name: 'parent', parent_id: above.id })
  const key = kind === 'groups' ? 'parent_id' : 'parent_group_id'
  const inside = await create(kind, { name: 'in', [key]: parent.id })
  const outside = await create(kind, { name: 'out' })
  const member = await api.given.person()
  const ids = { domain: domain.id, entity: inside.id, parent: parent.id, above: above.id }
  const types = { domain: 'domain', entity: kind.slice(0, -1), parent: 'group', above: 'group' } as const
  const roles: Record<string, string> = {}
  for (const [on, given] of Object.entries({ domain: ['read'], ...actions })) {
    const where = on as keyof Actions
    const { id } = await giveRole(gateway.ground.databaseUrl, {
      user: member.id,
      type: types[where] as 'domain',
      entity: ids[where],
      domain: domain.id,
      actions: given,
      name: `on ${on}`,
    })
    roles[on] = id
  }
  const list = async (query = '', who: Pick<Person, 'token'> = member, path = `/${domain.id}/${kind}`) =>
    (await api.expect(200, 'GET', `${path}?order=name&dir=asc&limit=100&${query}`, { token: who.token })).body
  const names = async (query = '', who: Pick<Person, 'token'> = member) => {
    const { total, [kind]: items } = await list(query, who)
    expect(total).toBe(items.length)
    return items.map((item: { name: string }) => item.name)
  }
  return { owner, member, domain, inside, outside, parent, above, roles, list, names }
}

const singular = (kind: Kind) => kind.slice(0, -1)

describe.each(KINDS)('a list of %s', (kind) => {
  const below = kind === 'groups' ? 'subgroup' : singular(kind)

  it('is empty for a member without a role that reads', async () => {
    const { names } = await place(kind, { entity: ['update'], parent: ['update'], domain: ['update'] })
    expect(await names()).toEqual([])
    expect(await names('status=all')).toEqual([])
  })

  it('shows what a role on the entity reads, and the role', async () => {
    const { list, roles, inside } = await place(kind, { entity: ['read', 'update'] })
    const { total, [kind]: items } = await list()
    expect(total).toBe(1)
    expect(items).toMatchObject([
      {
        id: inside.id,
        role_id: roles['entity'],
        role_name: 'on entity',
        actions: ['read', 'update'],
        access_type: 'direct',
      },
    ])
  })

  it('shows what a role on the parent group reads, and whose role it is', async () => {
    const { list, roles, parent } = await place(kind, { parent: [`${below}_read`] })
    const { [kind]: items } = await list()
    expect(items).toMatchObject([
      {
        name: 'in',
        access_type: 'direct_group',
        access_provider_id: parent.id,
        access_provider_role_id: roles['parent'],
        access_provider_role_name: 'on parent',
        access_provider_role_actions: [`${below}_read`],
      },
    ])
    expect(items[0]).not.toHaveProperty('role_id')
  })

  it('shows what a role further above reads', async () => {
    const word = kind === 'groups' ? 'subgroup_read' : `subgroup_${below}_read`
    const { list } = await place(kind, { above: [word] })
    const { [kind]: items } = await list('name=in')
    expect(items).toMatchObject([{ name: 'in', access_type: 'indirect_group' }])
  })

  it('shows all that a role on the domain reads', async () => {
    const { names, list } = await place(kind, { domain: [`${singular(kind)}_read`] })
    expect(await names('name=in')).toEqual(['in'])
    expect(await names('name=out')).toEqual(['out'])
    const { [kind]: items } = await list('name=out')
    expect(items).toMatchObject([{ access_type: 'domain', access_provider_role_name: 'on domain' }])
  })

  it('shows each once, by its closest role, however many there are', async () => {
    const { list } = await place(kind, {
      entity: ['read'],
      parent: [`${below}_read`],
      above: [kind === 'groups' ? 'subgroup_read' : `subgroup_${below}_read`],
    })
    const { total, [kind]: items } = await list('name=in')
    expect(total).toBe(1)
    expect(items).toMatchObject([{ name: 'in', access_type: 'direct' }])
  })

  it('is filtered by how one has access, by role and by what one may do', async () => {
    const { names, roles } = await place(kind, {
      domain: [`${singular(kind)}_read`],
      entity: ['read', 'update'],
    })
    expect(await names('access_type=direct')).toEqual(['in'])
    expect(await names('access_type=domain&name=in')).toEqual([])
    expect(await names('access_type=domain&name=out')).toEqual(['out'])
    expect(await names(`role_id=${roles['entity']}`)).toEqual(['in'])
    expect(await names(`role_id=${roles['domain']}&name=out`)).toEqual(['out'])
    expect(await names('role_name=on+entity')).toEqual(['in'])
    expect(await names('role_name=nobody')).toEqual([])
    expect(await names('actions=read,update')).toEqual(['in'])
    expect(await names('actions=delete')).toEqual([])
  })

  it('refuses an unknown action and an unknown way', async () => {
    const { owner, domain } = await place(kind)
    for (const query of ['actions=fly', 'access_type=odd']) {
      const answer = await api.call('GET', `/${domain.id}/${kind}?${query}`, { token: owner.token })
      expect(answer.status).toBe(400)
      expect(answer.body.message).toContain(query.split('=')[0])
    }
  })

  it('is as another user sees it for admins of the domain and superadmins, and refused to others', async () => {
    const { owner, member, names, domain, list } = await place(kind, { entity: ['read'] })
    const root = await api.signIn(ADMIN.username, ADMIN.password)
    for (const who of [owner, root, member]) expect(await names(`user=${member.id}`, who)).toEqual(['in'])
    const { [kind]: items } = await list(`user=${member.id}`, owner)
    expect(items).toMatchObject([{ role_name: 'on entity' }])
    const answer = await api.call('GET', `/${domain.id}/${kind}?user=${owner.id}`, { token: member.token })
    expect(answer.status).toBe(403)
  })

  it('of a user shows members of the domain what both may see', async () => {
    const { owner, member, domain, list } = await place(kind, { entity: ['read'] })
    const of = async (user: Person, who: Person) =>
      (await list('', who, `/${domain.id}/users/${user.id}/${kind}`))[kind].map(
        (x: { name: string }) => x.name,
      )
    expect(await of(member, member)).toEqual(['in'])
    expect(await of(member, owner)).toEqual(['in'])
    expect(await of(owner, member)).toEqual(['in'])
    expect(await of(owner, owner)).toContain('out')
    const stranger = await api.given.person()
    const path = `/${domain.id}/users/${member.id}/${kind}`
    expect((await api.call('GET', path, { token: stranger.token })).status).toBe(403)
  })

  it('has a total that follows what is created, disabled and deleted', async () => {
    const { owner, domain, inside, outside, list } = await place(kind)
    const totals = async () => {
      const of = async (status: string) => (await list(`only_total=true&status=${status}`, owner)).total
      return { enabled: await of('enabled'), disabled: await of('disabled'), all: await of('all') }
    }
    const before = await totals()
    const act = (method: string, id: string, rest = '') =>
      api.call(method, `/${domain.id}/${kind}/${id}${rest}`, { token: owner.token })
    await act('POST', inside.id, '/disable')
    await act('DELETE', outside.id)
    expect(await totals()).toEqual({ enabled: before.enabled - 2, disabled: 1, all: before.all - 1 })
    await act('POST', inside.id, '/enable')
    expect(await totals()).toEqual({ enabled: before.enabled - 1, disabled: 0, all: before.all - 1 })
  })

  it('counts for those with roles of their own as for those with a role on the domain', async () => {
    const { member, names, inside, owner, domain } = await place(kind, { entity: ['read'] })
    expect(await names()).toEqual(['in'])
    const act = (verb: string) =>
      api.expect(200, 'POST', `/${domain.id}/${kind}/${inside.id}/${verb}`, { token: owner.token })
    await act('disable')
    expect(await names()).toEqual([])
    expect(await names('status=disabled')).toEqual(['in'])
    expect(await names('status=all')).toEqual(['in'])
    await act('enable')
    await withAdmin(gateway.ground.databaseUrl, (db) =>
      db.query(
        `delete from role_actions where action = 'read' and role_id in (
          select role_id from role_members where user_id = $1 and entity_id = $2)`,
        [member.id, inside.id],
      ),
    )
    expect(await names()).toEqual([])
  })

  it('is paged without gaps and repetitions in every order, also where all the values are the same', async () => {
    const { owner, member, domain, list } = await place(kind)
    for (let i = 0; i < 7; i++) {
      const { body } = await api.expect(201, 'POST', `/${domain.id}/${kind}`, {
        token: owner.token,
        body: { name: 'same' },
      })
      if (i % 2 === 0) {
        const given = { user: member.id, entity: body.id, domain: domain.id, actions: ['read'] }
        await giveRole(gateway.ground.databaseUrl, { ...given, type: singular(kind) as 'client' })
      }
    }
    for (const [who, expected] of [
      [owner, 7],
      [member, 4],
    ] as const) {
      for (const order of ['name', 'created_at', 'updated_at']) {
        const seen = new Set<string>()
        for (let offset = 0; offset < expected; offset += 2) {
          const path = `/${domain.id}/${kind}?name=same&order=${order}&limit=2&offset=${offset}`
          const { body } = await api.expect(200, 'GET', path, { token: who.token })
          expect(body.total).toBe(expected)
          for (const { id } of body[kind]) seen.add(id)
        }
        expect(seen.size).toBe(expected)
        expect((await list('name=same', who))[kind]).toHaveLength(expected)
      }
    }
  })

  it('of a disabled domain is for its admins alone', async () => {
    const { owner, member, domain } = await place(kind, { domain: [`${singular(kind)}_read`] })
    await withAdmin(gateway.ground.databaseUrl, (db) =>
      db.query(`update domains set status = 'disabled' where id = $1`, [domain.id]),
    )
    const ask = (who: Person) => api.call('GET', `/${domain.id}/${kind}`, { token: who.token })
    expect((await ask(member)).status).toBe(403)
    expect((await ask(owner)).status).toBe(200)
  })
})

describe.each(['clients', 'channels'] as const)('a list of %s', (kind) => {
  it('over all domains shows what each of them lets one see', async () => {
    const { member, list } = await place(kind, { entity: ['read'] })
    const whole = await api.given.domain(member.token)
    const own = await api.given[singular(kind) as 'client'](member.token, whole.id, { name: 'own' })
    const { total, [kind]: items } = await list('', member, `/${kind}`)
    expect(total).toBe(2)
    expect(items).toMatchObject([{ name: 'in' }, { id: own.id }])
  })

  it('is also that of a group and what is below it', async () => {
    const { owner, domain, above, list } = await place(kind)
    const { [kind]: items } = await list('', owner, `/${domain.id}/groups/${above.id}/${kind}`)
    expect(items).toMatchObject([{ name: 'in' }])
  })
})

describe('reading one entity', () => {
  it('says with roles=true all the roles through which one has access', async () => {
    const { member, domain, inside, parent, above, roles } = await place('clients', {
      entity: ['update'],
      parent: ['client_read'],
      domain: ['read', 'client_read'],
    })
    const path = `/${domain.id}/clients/${inside.id}`
    const { body: plain } = await api.expect(200, 'GET', path, { token: member.token })
    expect(plain).not.toHaveProperty('roles')
    expect(plain.access_type).toBe('direct_group')
    const { body } = await api.expect(200, 'GET', `${path}?roles=true`, { token: member.token })
    expect(body.member_id).toBe(member.id)
    expect(body.roles).toEqual([
      { role_id: roles['entity'], role_name: 'on entity', actions: ['update'], access_type: 'direct' },
      {
        role_id: roles['parent'],
        role_name: 'on parent',
        actions: ['client_read'],
        access_type: 'direct_group',
        access_provider_id: parent.id,
        access_provider_path: `${above.id}.${parent.id}`,
      },
      {
        role_id: roles['domain'],
        role_name: 'on domain',
        actions: ['client_read', 'read'],
        access_type: 'domain',
        access_provider_id: domain.id,
      },
    ])
  })
})

describe('two requests at once', () => {
  it('leave the total right, though no one of them waits for another to count', async () => {
    const { owner, domain, list } = await place('clients')
    const before = (await list('only_total=true', owner)).total
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const client = await api.given.client(owner.token, domain.id)
        if (i % 2 === 0) await api.expect(200, 'DELETE', `/${domain.id}/clients/${client.id}`, owner)
      }),
    )
    const { total, clients } = await list('', owner)
    expect(total).toBe(before + 20)
    expect(clients).toHaveLength(before + 20)
  })
})
