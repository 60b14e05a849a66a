import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
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

interface Node {
  readonly id: string
  readonly name: string
  readonly children?: Node[]
}

/** A domain of a new person, and what is done in it as that person. */
async function place() {
  const person = await api.given.person()
  const domain = await api.given.domain(person.token)
  const { token } = person
  const at = (id: string, rest = '') => `/${domain.id}/groups/${id}${rest}`
  const read = async (id: string) => (await api.expect(200, 'GET', at(id), { token })).body
  return {
    person,
    token,
    domain,
    at,
    read,
    call: (method: string, path: string, body?: unknown) => api.call(method, path, { token, body }),
    group: async (name: string, parent_id?: string) =>
      (await api.expect(201, 'POST', `/${domain.id}/groups`, { token, body: { name, parent_id } })).body,
    /** Names of the groups above, and its own. */
    pathOf: async (id: string): Promise<string[]> => {
      const ids: string[] = (await read(id)).path.split('.')
      return Promise.all(ids.map(async (one) => (await read(one)).name))
    },
    operations: async (id: string): Promise<string[]> => {
      return withAdmin(gateway.ground.databaseUrl, async (db) => {
        const { rows } = await db.query('select operation from journal where entity_id = $1 order by seq', [
          id,
        ])
        return rows.map((row: { operation: string }) => row.operation)
      })
    },
  }
}

describe('a group', () => {
  it('is changed by PUT and PATCH, absent fields staying', async () => {
    const { group, at, call } = await place()
    const { id } = await group('old')
    const put = await call('PUT', at(id), { name: 'new', description: 'text', metadata: { a: 1 } })
    expect(put).toMatchObject({ status: 200, body: { name: 'new', description: 'text', metadata: { a: 1 } } })
    expect(put.body.updated_by).toBeDefined()
    const patch = await call('PATCH', at(id), { id: '', name: 'newer', description: '' })
    expect(patch.body).toMatchObject({ name: 'newer', description: 'text', metadata: { a: 1 } })
  })

  it('has its tags replaced; without tags nothing changes', async () => {
    const { group, at, call } = await place()
    const { id } = await group('g')
    expect((await call('PATCH', at(id, '/tags'), { tags: ['b', 'a'] })).body.tags).toEqual(['b', 'a'])
    expect((await call('PATCH', at(id, '/tags'), { tags: null })).body.tags).toEqual(['b', 'a'])
    expect((await call('PATCH', at(id, '/tags'), { tags: [] })).body.tags).toEqual([])
  })

  it('is disabled and enabled; what is so already is a conflict', async () => {
    const { group, at, call, operations } = await place()
    const { id } = await group('g')
    expect((await call('POST', at(id, '/enable'))).status).toBe(409)
    expect(await call('POST', at(id, '/disable'))).toMatchObject({
      status: 200,
      body: { status: 'disabled' },
    })
    expect((await call('POST', at(id, '/disable'))).body.error).toBe('status_unchanged')
    expect(await call('POST', at(id, '/enable'))).toMatchObject({ status: 200, body: { status: 'enabled' } })
    expect(await operations(id)).toEqual(['group.create', 'group.disable', 'group.enable'])
  })

  it('leaves its children, clients and channels alive and without parent when it is deleted', async () => {
    const { token, domain, group, at, call, read, pathOf, operations } = await place()
    const root = await group('root')
    const middle = await group('middle', root.id)
    const leaf = await group('leaf', middle.id)
    const below = await group('below', leaf.id)
    const client = await api.given.client(token, domain.id, { parent_group_id: middle.id })
    const channel = await api.given.channel(token, domain.id, { parent_group_id: middle.id })
    const gone = await call('DELETE', at(middle.id))
    expect([gone.status, gone.text]).toEqual([204, ''])
    expect((await call('GET', at(middle.id))).status).toBe(404)
    expect(await pathOf(leaf.id)).toEqual(['leaf'])
    expect(await pathOf(below.id)).toEqual(['leaf', 'below'])
    expect(await read(leaf.id)).not.toHaveProperty('parent_id')
    for (const path of [`clients/${client.id}`, `channels/${channel.id}`]) {
      const { body } = await api.expect(200, 'GET', `/${domain.id}/${path}`, { token })
      expect(body).toMatchObject({ status: 'enabled' })
      expect(body).not.toHaveProperty('parent_group_id')
    }
    expect(await operations(middle.id)).toEqual(['group.create', 'group.remove'])
    const { body: children } = await call('GET', at(root.id, '/children?start_level=0&end_level=-1'))
    expect(children.groups.map((one: Node) => one.name)).toEqual(['root'])
  })

  it('is gone for a second deletion, change or status', async () => {
    const { group, at, call } = await place()
    const { id } = await group('g')
    await call('DELETE', at(id))
    for (const [method, rest] of [
      ['DELETE', ''],
      ['PUT', ''],
      ['POST', '/disable'],
    ] as const) {
      expect((await call(method, at(id, rest), {})).status).toBe(404)
    }
  })

  it('does not exist for strangers, by the answer they also get for ids that do not', async () => {
    const { group, at } = await place()
    const { id } = await group('g')
    const { token } = await api.given.person()
    for (const [method, rest] of [
      ['GET', ''],
      ['PUT', ''],
      ['PATCH', '/tags'],
      ['POST', '/disable'],
      ['DELETE', ''],
      ['GET', '/hierarchy'],
      ['GET', '/parents'],
      ['DELETE', '/parent'],
      ['DELETE', '/children/all'],
    ] as const) {
      const [real, unreal] = await Promise.all(
        [id, randomUUID()].map((one) => api.call(method, at(one, rest), { token })),
      )
      expect([real?.status, real?.body]).toEqual([403, unreal?.body])
    }
  })
})

describe('the parent of a group', () => {
  it('is set with the whole subtree, and removed again', async () => {
    const { group, at, call, pathOf, operations } = await place()
    const [top, moved] = [await group('top'), await group('moved')]
    const leaf = await group('leaf', moved.id)
    const set = await call('POST', at(moved.id, '/parent'), { parent_id: top.id })
    expect([set.status, set.text]).toEqual([200, ''])
    expect(await pathOf(leaf.id)).toEqual(['top', 'moved', 'leaf'])
    expect((await call('DELETE', at(moved.id, '/parent'))).status).toBe(204)
    expect(await pathOf(leaf.id)).toEqual(['moved', 'leaf'])
    expect((await call('DELETE', at(moved.id, '/parent'))).status).toBe(204)
    expect(await operations(moved.id)).toEqual([
      'group.create',
      'group.add_parent_group',
      'group.remove_parent_group',
    ])
  })

  it('is never the group itself, nor one below it', async () => {
    const { group, at, call } = await place()
    const root = await group('root')
    const leaf = await group('leaf', (await group('middle', root.id)).id)
    for (const parent_id of [root.id, leaf.id]) {
      const answer = await call('POST', at(root.id, '/parent'), { parent_id })
      expect([answer.status, answer.body.error]).toEqual([400, 'group_cycle'])
    }
  })

  it('is set once: a second one is a conflict until it is removed', async () => {
    const { group, at, call } = await place()
    const [a, b] = [await group('a'), await group('b')]
    const child = await group('child', a.id)
    const answer = await call('POST', at(child.id, '/parent'), { parent_id: b.id })
    expect([answer.status, answer.body.error]).toEqual([409, 'parent_set'])
  })

  it('is no group of another domain: refused like one that does not exist', async () => {
    const [here, there] = [await place(), await place()]
    const [own, foreign] = [await here.group('own'), await there.group('foreign')]
    const answers = await Promise.all(
      [foreign.id, randomUUID()].map((parent_id) =>
        here.call('POST', here.at(own.id, '/parent'), { parent_id }),
      ),
    )
    expect(answers.map((answer) => answer.status)).toEqual([403, 403])
    expect(answers[0]?.body).toEqual(answers[1]?.body)
  })

  it('lets no group of the subtree deeper than twenty levels, and then moves none of it', async () => {
    const { group, at, call, pathOf } = await place()
    let deep: { id: string } | undefined
    for (let level = 1; level <= 18; level++) deep = await group(`d${level}`, deep?.id)
    const root = await group('root')
    const leaf = await group('leaf', (await group('middle', root.id)).id)
    const answer = await call('POST', at(root.id, '/parent'), { parent_id: deep?.id })
    expect([answer.status, answer.body.error]).toEqual([400, 'group_too_deep'])
    expect(await pathOf(leaf.id)).toEqual(['root', 'middle', 'leaf'])
  })

  it('takes set_parent on the group and set_child on the parent', async () => {
    const { domain, group, at } = await place()
    const member = await api.given.person()
    const [child, parent] = [await group('child'), await group('parent')]
    const give = (type: 'domain' | 'group', entity: string, actions: string[]) =>
      giveRole(gateway.ground.databaseUrl, { user: member.id, type, entity, domain: domain.id, actions })
    const set = () =>
      api.call('POST', at(child.id, '/parent'), { token: member.token, body: { parent_id: parent.id } })
    await give('domain', domain.id, ['read'])
    expect((await set()).status).toBe(403)
    await give('group', child.id, ['set_parent'])
    expect((await set()).status).toBe(403)
    await give('group', parent.id, ['set_child'])
    expect((await set()).status).toBe(200)
  })

  it('never makes a cycle, whatever moves at the same time', async () => {
    const { group, at, call, read } = await place()
    const groups = await Promise.all(Array.from({ length: 8 }, (_, i) => group(`g${i}`)))
    const any = () => groups[Math.floor(Math.random() * groups.length)]?.id ?? ''
    const answers = await Promise.all(
      Array.from({ length: 120 }, (_, i) =>
        i % 4 === 3
          ? call('DELETE', at(any(), '/parent'))
          : call('POST', at(any(), '/parent'), { parent_id: any() }),
      ),
    )
    expect(new Set(answers.map((answer) => answer.status))).not.toContain(500)
    for (const { id } of groups) {
      const { path, parent_id } = await read(id)
      const ids: string[] = path.split('.')
      expect(new Set(ids).size).toBe(ids.length)
      expect(ids.at(-1)).toBe(id)
      expect(ids.at(-2)).toBe(parent_id)
      if (parent_id) expect((await read(parent_id)).path).toBe(ids.slice(0, -1).join('.'))
    }
  })

  it('gives the right path to groups that are created below it while it moves', async () => {
    const { group, at, call, read } = await place()
    const [top, moved] = [await group('top'), await group('moved')]
    const [created] = await Promise.all([
      Promise.all(Array.from({ length: 20 }, (_, i) => group(`new ${i}`, moved.id))),
      call('POST', at(moved.id, '/parent'), { parent_id: top.id }),
    ])
    for (const { id } of created) expect((await read(id)).path).toBe(`${top.id}.${moved.id}.${id}`)
  })
})

describe('the children of a group', () => {
  it('are added and removed, some or all', async () => {
    const { group, at, call, pathOf, operations } = await place()
    const parent = await group('parent')
    const [a, b, c] = [await group('a'), await group('b'), await group('c')]
    const leaf = await group('leaf', a.id)
    const add = await call('POST', at(parent.id, '/children'), { children_ids: [a.id, b.id, c.id] })
    expect([add.status, add.text]).toEqual([200, ''])
    expect(await pathOf(leaf.id)).toEqual(['parent', 'a', 'leaf'])
    expect((await call('DELETE', at(parent.id, '/children'), { children_ids: [a.id] })).status).toBe(204)
    expect(await pathOf(leaf.id)).toEqual(['a', 'leaf'])
    expect(await pathOf(b.id)).toEqual(['parent', 'b'])
    expect((await call('DELETE', at(parent.id, '/children/all'))).status).toBe(204)
    expect(await pathOf(c.id)).toEqual(['c'])
    expect(await operations(parent.id)).toEqual([
      'group.create',
      'group.add_children_groups',
      'group.remove_children_groups',
      'group.remove_all_children_groups',
    ])
  })

  it('are added all or none', async () => {
    const { group, at, call, pathOf } = await place()
    const [parent, free, other] = [await group('parent'), await group('free'), await group('other')]
    const taken = await group('taken', other.id)
    const answer = await call('POST', at(parent.id, '/children'), { children_ids: [free.id, taken.id] })
    expect(answer.status).toBe(409)
    expect(await pathOf(free.id)).toEqual(['free'])
  })

  it.each([[{}], [{ children_ids: [] }], [{ children_ids: ['x'] }]])('are not %j', async (body) => {
    const { group, at, call } = await place()
    const { id } = await group('g')
    for (const method of ['POST', 'DELETE']) {
      const answer = await call(method, at(id, '/children'), body)
      expect(answer.status).toBe(400)
      expect(answer.body.message).toContain('children_ids')
    }
  })
})

describe('the tree of groups', () => {
  async function line() {
    const here = await place()
    const root = await here.group('root')
    const middle = await here.group('middle', root.id)
    const leaf = await here.group('leaf', middle.id)
    return { ...here, root, middle, leaf }
  }
  const names = (groups: Node[]): unknown[] =>
    groups.map(({ name, children = [] }) => [name, ...names(children)])

  it('is read downwards and upwards as a hierarchy, flat or nested, with absolute levels', async () => {
    const { middle, at, call } = await line()
    const hierarchy = async (query: string) => (await call('GET', at(middle.id, `/hierarchy?${query}`))).body
    expect(await hierarchy('')).toMatchObject({
      level: 0,
      direction: -1,
      groups: [
        { name: 'middle', level: 2 },
        { name: 'leaf', level: 3 },
      ],
    })
    expect(names((await hierarchy('direction=1')).groups)).toEqual([['root'], ['middle']])
    expect(names((await hierarchy('dir=1&tree=true')).groups)).toEqual([['root', ['middle']]])
    expect(names((await hierarchy('dir=desc&level=1')).groups)).toEqual([['root'], ['middle']])
    expect(names((await hierarchy('dir=asc&level=1&tree=true')).groups)).toEqual([['middle', ['leaf']]])
    expect((await call('GET', at(middle.id, '/hierarchy?level=21'))).status).toBe(400)
  })

  it('is read upwards as parents, with levels counted from the group', async () => {
    const { leaf, at, call } = await line()
    const { body: tree } = await call('GET', at(leaf.id, '/parents?tree=true'))
    expect(tree.groups).toMatchObject([
      {
        name: 'root',
        level: -2,
        children: [{ name: 'middle', level: -1, children: [{ name: 'leaf', level: 0, children: [] }] }],
      },
    ])
    const { body: flat } = await call('GET', at(leaf.id, '/parents?order=name&dir=asc&limit=1'))
    expect(flat).toMatchObject({ total: 2, limit: 1, offset: 0, groups: [{ name: 'middle', level: -1 }] })
  })

  it('is listed by parent, by roots and nested', async () => {
    const { domain, root, middle, call } = await line()
    const list = async (query: string) => (await call('GET', `/${domain.id}/groups?order=name&${query}`)).body
    expect(names((await list(`parent_id=${root.id}`)).groups)).toEqual([['middle']])
    expect(names((await list(`parentID=${middle.id}`)).groups)).toEqual([['leaf']])
    expect(names((await list('root_group=true')).groups)).toEqual([['root']])
    expect(names((await list('tree=true')).groups)).toEqual([['root', ['middle', ['leaf']]]])
  })

  it('begins for a member where the groups begin that the member may read', async () => {
    const { domain, middle } = await line()
    const member = await api.given.person()
    const give = (type: 'domain' | 'group', entity: string, actions: string[]) =>
      giveRole(gateway.ground.databaseUrl, { user: member.id, type, entity, domain: domain.id, actions })
    await give('domain', domain.id, ['read'])
    await give('group', middle.id, ['read', 'subgroup_read'])
    const list = async (query: string) =>
      (await api.expect(200, 'GET', `/${domain.id}/groups?order=name&${query}`, { token: member.token })).body
    expect(names((await list('')).groups)).toEqual([['middle'], ['leaf']])
    expect(names((await list('root_group=true')).groups)).toEqual([['middle']])
  })
})
