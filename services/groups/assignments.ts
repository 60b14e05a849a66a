import type { Trx } from '../../platform/db/connect.ts'
import { Conflict, InvalidInput } from '../../platform/errors.ts'
import type { Policy, Roles } from '../auth/service.ts'
import type { EntityRef, Principal } from '../auth/types.ts'

export type Assignments = ReturnType<typeof createAssignments>

const ADMINISTER = ['manage_role', 'add_role_users', 'remove_role_users']

/** The action words of older servers, and what each grants as part of a role on a group (contract 3). */
const GRANTED_BY: Readonly<Record<string, readonly string[]>> = {
  g_add: ['subgroup_create'],
  g_delete: ['delete'],
  g_update: ['update', 'set_parent', 'set_child'],
  g_list: ['read', 'view_role_users'],
  g_share: ADMINISTER,
  c_list: ['client_read', 'channel_read'],
  c_update: ['client_update', 'client_connect_to_channel', 'channel_update', 'channel_connect_to_client'],
  c_delete: ['client_delete', 'channel_delete'],
  c_share: ADMINISTER,
  m_write: ['channel_publish'],
  m_read: ['channel_subscribe'],
}

/** The role that lets people into a domain and to nothing in it. */
const MEMBER = { name: 'member', actions: ['read'] } as const

export interface Assignment {
  readonly userId: string
  readonly groupId: string
  /** Words of {@link GRANTED_BY}. */
  readonly words: readonly string[]
}

/** Users assigned to groups as older servers did it, told in roles (contract D13). */
export function createAssignments({ policy, roles }: { policy: Policy; roles: Roles }) {
  const { changes } = roles

  async function requireGroup(principal: Principal, groupId: string): Promise<EntityRef> {
    const { domainId } = await policy.require(principal, 'group.role_add', groupId)
    await policy.require(principal, 'group.role_add_members', groupId)
    return { type: 'group', id: groupId, domainId }
  }

  async function letIntoDomain(trx: Trx, actorId: string, domainId: string, userId: string): Promise<void> {
    const domain: EntityRef = { type: 'domain', id: domainId, domainId }
    if (await changes.findOf(trx, domain, userId)) return
    const role =
      (await changes.findByName(trx, domain, MEMBER.name)) ??
      (await changes.create(trx, actorId, domain, { ...MEMBER, memberIds: [] }))
    // Who administers a group gives away what is in the group; a role by that name with more to it is not theirs to give.
    if (role.actions.join() !== MEMBER.actions.join()) {
      throw new Conflict('member_role_differs', 'the domain has another role member; invite the user first')
    }
    await changes.addMembers(trx, actorId, role, [userId])
  }

  return {
    /**
     * Puts the user into a role on the group that holds what the words mean, in place of whatever role the user had on it;
     * and into the domain, if need be.
     *
     * @throws {Forbidden} @throws {NotFound} @throws {UnknownUser}
     * @throws {InvalidInput} an unknown word
     * @throws {Conflict} the domain's role `member` is not the one to let people in by
     */
    async assign(principal: Principal, { userId, groupId, words }: Assignment): Promise<void> {
      const group = await requireGroup(principal, groupId)
      const name = [...new Set(words)].sort().join(',')
      const actions = [...new Set(words.flatMap(actionsOf))]
      const actorId = principal.userId
      await changes.alone(group.domainId, async (trx) => {
        await changes.requireUsers(trx, [userId])
        await letIntoDomain(trx, actorId, group.domainId, userId)
        const role =
          (await changes.findByName(trx, group, name)) ??
          (await changes.create(trx, actorId, group, { name, actions, memberIds: [] }))
        const held = await changes.findOf(trx, group, userId)
        if (held?.id === role.id) return
        await changes.removeFromAll(trx, actorId, group, [userId])
        await changes.addMembers(trx, actorId, role, [userId])
      })
    },

    /** Takes the user out of every role on the group; who is in none is no error. @throws {Forbidden} @throws {NotFound} */
    async remove(principal: Principal, userId: string, groupId: string): Promise<void> {
      const group = await requireGroup(principal, groupId)
      await changes.alone(group.domainId, (trx) =>
        changes.removeFromAll(trx, principal.userId, group, [userId]),
      )
    },
  }
}

function actionsOf(word: string): readonly string[] {
  const actions = GRANTED_BY[word]
  if (actions === undefined) {
    throw new InvalidInput(`actions: unknown action ${word}; known: ${Object.keys(GRANTED_BY).join(', ')}`)
  }
  return actions
}
