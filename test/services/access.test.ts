import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase } from '../../platform/db/connect.ts'
import type { Db } from '../../platform/db/connect.ts'
import { Forbidden, NotFound } from '../../platform/errors.ts'
import { AVAILABLE_ACTIONS } from '../../services/auth/actions.ts'
import { OPERATIONS } from '../../services/auth/operations.ts'
import type { OperationName } from '../../services/auth/operations.ts'
import { createPolicy } from '../../services/auth/policy.ts'
import type { Policy } from '../../services/auth/service.ts'
import type { EntityType, Principal } from '../../services/auth/types.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

// The rules stand here a second time, as the contract words them (A.1 to A.4), and not as the policy does.

const NAMES = Object.keys(OPERATIONS) as OperationName[]

/** Belonging to the domain is enough, in whatever role. */
const OF_MEMBERS: readonly OperationName[] = [
  'domain.view',
  'domain.list_clients',
  'domain.list_channels',
  'domain.list_groups',
]

/** Where a role may stand that is about something else as well. */
const PLACES = ['entity', 'parent', 'above', 'domain'] as const
type Place = (typeof PLACES)[number]

/** The word that a role must hold there to grant the action on an entity of the type. */
function wordAt(place: Place, type: EntityType, action: string): string | undefined {
  const words: Record<EntityType, Record<Place, string | undefined>> = {
    client: {
      entity: action,
      parent: `client_${action}`,
      above: `subgroup_client_${action}`,
      domain: `client_${action}`,
    },
    channel: {
      entity: action,
      parent: `channel_${action}`,
      above: `subgroup_channel_${action}`,
      domain: `channel_${action}`,
    },
    group: {
      entity: action,
      parent: `subgroup_${action}`,
      above: `subgroup_${action}`,
      domain: `group_${action}`,
    },
    domain: { entity: undefined, parent: undefined, above: undefined, domain: action },
  }
  const word = words[type][place]
  const carrier = { entity: type, parent: 'group', above: 'group', domain: 'domain' }[place] as EntityType
  // What no role on it can hold is granted by none.
  return word !== undefined && AVAILABLE_ACTIONS[carrier].includes(word) ? word : undefined
}

let gateway: TestGateway
let api: Api
let db: Db
let policy: Policy
let world: Awaited<ReturnType<typeof makeWorld>>

beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  db = createDatabase({ url: gateway.ground.databaseUrl, maxConnections: 4 })
  policy = createPolicy(db)
  world = await makeWorld()
})
afterAll(async () => {
  await db.destroy()
  await gateway.stop()
})

/**
 * Two groups above one another, in the lower one a client, a channel and a group; people who each hold one role in one place,
 * and belong to the domain besides.
 */
async function makeWorld() {
  const owner = await api.given.person()
  const { token } = owner
  const domain = await api.given.domain(token)
  const other = await api.given.domain(token)
  const make = async (kind: string, body: Record<string, unknown>): Promise<string> =>
    (await api.expect(201, 'POST', `/${domain.id}/${kind}`, { token, body: { name: 'x', ...body } })).body.id
  const top = await make('groups', {})
  const parent = await make('groups', { parent_id: top })
  const ids: Record<EntityType, string> = {
    domain: domain.id,
    group: await make('groups', { parent_id: parent }),
    client: await make('clients', { parent_group_id: parent }),
    channel: await make('channels', { parent_group_id: parent }),
  }
  const role = async (path: string, members: string[] = []): Promise<string> =>
    (
      await api.expect(201, 'POST', `${path}/roles`, {
        token,
        body: { role_name: `r${Math.random()}`, optional_members: members },
      })
    ).body.id
  const person = async (domainId = domain.id) => {
    const { id } = await api.given.person()
    const inDomain = await role(`/domains/${domainId}`, [id])
    return { id, inDomain }
  }
  const holder = async (path: string) => {
    const { id } = await person()
    return { id, role: await role(path, [id]) }
  }
  const onDomain = await person()
  const elsewhere = await person(other.id)
  await db
    .insertInto('role_actions')
    .values(AVAILABLE_ACTIONS.domain.map((action) => ({ role_id: elsewhere.inDomain, action })))
    .execute()
  return {
    owner: owner.id,
    domainId: domain.id,
    ids,
    nobody: (await person()).id,
    stranger: (await api.given.person()).id,
    elsewhere: elsewhere.id,
    on: {
      client: await holder(`/${domain.id}/clients/${ids.client}`),
      channel: await holder(`/${domain.id}/channels/${ids.channel}`),
      group: await holder(`/${domain.id}/groups/${ids.group}`),
      parent: await holder(`/${domain.id}/groups/${parent}`),
      above: await holder(`/${domain.id}/groups/${top}`),
      domain: { id: onDomain.id, role: onDomain.inDomain },
    },
  }
}

async function setActions(roleId: string, actions: readonly string[]): Promise<void> {
  await db.deleteFrom('role_actions').where('role_id', '=', roleId).execute()
  if (actions.length === 0) return
  await db
    .insertInto('role_actions')
    .values(actions.map((action) => ({ role_id: roleId, action })))
    .execute()
}

async function withStatus<T>(status: 'disabled' | 'freezed' | 'deleted', work: () => Promise<T>): Promise<T> {
  const set = (value: 'enabled' | typeof status) =>
    db.updateTable('domains').set({ status: value }).where('id', '=', world.domainId).execute()
  await set(status)
  try {
    return await work()
  } finally {
    await set('enabled')
  }
}

async function verdict(userId: string, name: OperationName, isSuperadmin = false): Promise<string> {
  const principal: Principal = { userId, isSuperadmin }
  try {
    if (OF_MEMBERS.includes(name)) await policy.requireMember(principal, name, world.domainId)
    else await policy.require(principal, name, world.ids[OPERATIONS[name].on], world.domainId)
    return 'allowed'
  } catch (error) {
    if (error instanceof Forbidden) return 'forbidden'
    if (error instanceof NotFound) return 'not found'
    throw error
  }
}

describe.each(NAMES)('%s', (name) => {
  const { on: type, action } = OPERATIONS[name]
  const isOfMembers = OF_MEMBERS.includes(name)
  const carrierOf = (place: Place): EntityType =>
    place === 'entity' ? type : place === 'domain' ? 'domain' : 'group'
  const holderAt = (place: Place) =>
    place === 'entity' && type !== 'domain' ? world.on[type] : world.on[place === 'entity' ? 'domain' : place]
  const places = PLACES.filter((place) => type !== 'domain' || place === 'domain')

  it.each(places)('is granted by the one right action of a role on the %s', async (place) => {
    const { id, role } = holderAt(place)
    const right = wordAt(place, type, action)
    const all = AVAILABLE_ACTIONS[carrierOf(place)]
    await setActions(role, right === undefined ? all : [right])
    expect(await verdict(id, name)).toBe(right !== undefined || isOfMembers ? 'allowed' : 'forbidden')
    await withStatus('disabled', async () => {
      // Reading alone makes nobody an admin, who alone gets in then.
      const isAdmin = place === 'domain' && right === undefined
      expect(await verdict(id, name)).toBe(isAdmin && isOfMembers ? 'allowed' : 'forbidden')
    })
    await withStatus('freezed', async () => expect(await verdict(id, name)).toBe('forbidden'))
    await setActions(
      role,
      all.filter((one) => one !== right),
    )
    expect(await verdict(id, name)).toBe(isOfMembers ? 'allowed' : 'forbidden')
    await setActions(role, [])
    expect(await verdict(id, name)).toBe(isOfMembers ? 'allowed' : 'forbidden')
  })

  it('is nobody’s without a role, or with every role elsewhere', async () => {
    expect(await verdict(world.nobody, name)).toBe(isOfMembers ? 'allowed' : 'forbidden')
    expect(await verdict(world.stranger, name)).toBe('forbidden')
    expect(await verdict(world.elsewhere, name)).toBe('forbidden')
  })

  it('is the superadmin’s, until the domain is deleted', async () => {
    expect(await verdict(world.stranger, name, true)).toBe('allowed')
    for (const status of ['disabled', 'freezed'] as const) {
      await withStatus(status, async () => expect(await verdict(world.stranger, name, true)).toBe('allowed'))
    }
    await withStatus('deleted', async () => {
      expect(await verdict(world.stranger, name, true)).toBe('not found')
      expect(await verdict(world.owner, name)).toBe('forbidden')
    })
  })

  it('is the domain admin’s also while the domain is disabled, and not while it is frozen', async () => {
    const own = name === 'domain.freeze' ? 'forbidden' : 'allowed'
    expect(await verdict(world.owner, name)).toBe(own)
    await withStatus('disabled', async () => expect(await verdict(world.owner, name)).toBe(own))
    await withStatus('freezed', async () => expect(await verdict(world.owner, name)).toBe('forbidden'))
  })
})
