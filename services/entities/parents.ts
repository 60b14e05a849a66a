import { transact } from '../../platform/db/transact.ts'
import { NotFound } from '../../platform/errors.ts'
import type { Principal } from '../auth/types.ts'
import { ParentChanged, ParentSet } from './errors.ts'
import * as repository from './repository.ts'
import type { EntityParts } from './rules.ts'
import type { Grouped, GroupedType } from './types.ts'

type ParentParts<T extends Grouped> = Pick<EntityParts<T>, 'db' | 'journal' | 'policy' | 'find'> & {
  readonly type: GroupedType
}

/** Putting clients and channels into groups, and taking them out (contract 6, 7). A service takes these among its methods. */
export function createParentRules<T extends Grouped>({ type, db, journal, policy, find }: ParentParts<T>) {
  const entry = (
    principal: Principal,
    domainId: string,
    id: string,
    verb: 'set_parent' | 'remove_parent',
    parentGroupId: string,
  ) => ({
    operation: `${type}.${verb}`,
    domainId,
    entityType: type,
    entityId: id,
    actorId: principal.userId,
    attributes: { parent_group_id: parentGroupId },
  })

  return {
    /**
     * @throws {Forbidden} also for a group of another domain
     * @throws {NotFound} @throws {ParentSet}
     */
    async setParent(principal: Principal, domainId: string, id: string, groupId: string): Promise<void> {
      await policy.require(principal, `${type}.set_parent`, id, domainId)
      await policy.requireParent(principal, `group.set_child_${type}`, groupId, domainId)
      await transact(db, async (trx) => {
        await repository.requireGroups(trx, domainId, [groupId])
        if (!(await repository.setParentGroup(trx, type, id, groupId, principal.userId))) {
          throw (await find(trx, id)) ? new ParentSet() : new NotFound()
        }
        await journal.record(trx, entry(principal, domainId, id, 'set_parent', groupId))
      })
    },

    /**
     * Nothing happens without a parent.
     *
     * @throws {Forbidden} @throws {NotFound} @throws {ParentChanged}
     */
    async removeParent(principal: Principal, domainId: string, id: string): Promise<void> {
      await policy.require(principal, `${type}.remove_parent`, id, domainId)
      const groupId = (await find(db, id))?.parentGroupId
      if (!groupId) return
      await policy.require(principal, `group.remove_child_${type}`, groupId, domainId)
      await transact(db, async (trx) => {
        if (!(await repository.clearParentGroup(trx, type, id, groupId, principal.userId))) {
          throw new ParentChanged()
        }
        await journal.record(trx, entry(principal, domainId, id, 'remove_parent', groupId))
      })
    },
  }
}
