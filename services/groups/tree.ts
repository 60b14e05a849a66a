import type { Db, Trx } from '../../platform/db/connect.ts'
import { transact } from '../../platform/db/transact.ts'
import { Forbidden, NotFound } from '../../platform/errors.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import { ParentChanged, ParentSet } from '../entities/errors.ts'
import type { Journal } from '../journal/service.ts'
import { Cycle } from './errors.ts'
import { findGroup } from './repository.ts'
import * as repository from './tree-repository.ts'
import type { Group } from './types.ts'

/** Moving groups about in the tree of a domain. All of it happens under a lock on that tree. */
export function createTreeRules({ db, journal, policy }: { db: Db; journal: Journal; policy: Policy }) {
  const change = <T>(domainId: string, body: (trx: Trx) => Promise<T>) =>
    transact(db, async (trx) => {
      await repository.lockTree(trx, domainId, 'change')
      return body(trx)
    })

  const record = (
    trx: Trx,
    principal: Principal,
    domainId: string,
    verb: string,
    entries: readonly { readonly id: string; readonly attributes: Record<string, unknown> }[],
  ) =>
    journal.record(
      trx,
      ...entries.map(({ id, attributes }) => ({
        operation: `group.${verb}`,
        domainId,
        entityType: 'group' as const,
        entityId: id,
        actorId: principal.userId,
        attributes,
      })),
    )

  /** @throws {ParentSet} @throws {Cycle} @throws {TooDeep} */
  async function attach(trx: Trx, principal: Principal, childId: string, parentId: string): Promise<void> {
    const [child, parent] = [await findGroup(trx, childId), await findGroup(trx, parentId)]
    if (!child) throw new NotFound()
    if (!parent) throw new Forbidden()
    // What stands above cannot stand below; said first, because it is wrong whatever the parent is now.
    if (parent.path.includes(childId)) throw new Cycle()
    if (child.parentId !== null) throw new ParentSet()
    await repository.attach(trx, child, parent, principal.userId)
    await record(trx, principal, child.domainId, 'add_parent_group', [
      { id: childId, attributes: { parent_id: parentId } },
    ])
  }

  /** Makes roots of children. */
  async function detach(
    trx: Trx,
    principal: Principal,
    parent: Group,
    childIds: readonly string[] | undefined,
  ) {
    const detached = await repository.detachChildren(trx, parent, childIds, principal.userId)
    const attributes = { parent_id: parent.id }
    const entries = detached.map((id) => ({ id, attributes }))
    await record(trx, principal, parent.domainId, 'remove_parent_group', entries)
    return detached
  }

  async function removeChildren(
    principal: Principal,
    domainId: string,
    id: string,
    verb: 'remove_children_groups' | 'remove_all_children_groups',
    childIds: readonly string[] | undefined,
  ): Promise<void> {
    await change(domainId, async (trx) => {
      const parent = await findGroup(trx, id)
      if (!parent) throw new NotFound()
      const detached = await detach(trx, principal, parent, childIds)
      await record(trx, principal, domainId, verb, [{ id, attributes: { children_ids: detached } }])
    })
  }

  return {
    /**
     * Puts a group, with all below it, under a parent.
     *
     * @throws {Forbidden} also for a parent of another domain @throws {NotFound}
     * @throws {ParentSet} @throws {Cycle} @throws {TooDeep} for any group of the subtree
     */
    async setParent(principal: Principal, domainId: string, id: string, parentId: string): Promise<void> {
      await policy.require(principal, 'group.set_parent', id, domainId)
      await policy.requireParent(principal, 'group.set_child_group', parentId, domainId)
      await change(domainId, (trx) => attach(trx, principal, id, parentId))
    },

    /**
     * Makes a root of a group. Nothing happens without a parent.
     *
     * @throws {Forbidden} @throws {NotFound} @throws {ParentChanged}
     */
    async removeParent(principal: Principal, domainId: string, id: string): Promise<void> {
      await policy.require(principal, 'group.remove_parent', id, domainId)
      const parentId = (await findGroup(db, id))?.parentId
      if (!parentId) return
      await policy.require(principal, 'group.remove_child_group', parentId, domainId)
      await change(domainId, async (trx) => {
        const parent = await findGroup(trx, parentId)
        const detached = parent ? await detach(trx, principal, parent, [id]) : []
        if (detached.length === 0) throw new ParentChanged()
      })
    },

    /**
     * Puts groups, with all below them, under this one; all or none.
     *
     * @throws {Forbidden} @throws {NotFound} one of them is not in the domain
     * @throws {ParentSet} @throws {Cycle} @throws {TooDeep}
     */
    async addChildren(
      principal: Principal,
      domainId: string,
      id: string,
      childIds: readonly string[],
    ): Promise<void> {
      await policy.require(principal, 'group.add_children', id, domainId)
      await policy.requireOnEach(principal, 'group.set_parent', childIds, domainId)
      await change(domainId, async (trx) => {
        for (const childId of childIds) await attach(trx, principal, childId, id)
        await record(trx, principal, domainId, 'add_children_groups', [
          { id, attributes: { children_ids: childIds } },
        ])
      })
    },

    /** Makes roots of these children; what is no child stays where it is. @throws {Forbidden} @throws {NotFound} */
    async removeChildren(
      principal: Principal,
      domainId: string,
      id: string,
      childIds: readonly string[],
    ): Promise<void> {
      await policy.require(principal, 'group.remove_children', id, domainId)
      await removeChildren(principal, domainId, id, 'remove_children_groups', childIds)
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async removeAllChildren(principal: Principal, domainId: string, id: string): Promise<void> {
      await policy.require(principal, 'group.remove_all_children', id, domainId)
      await removeChildren(principal, domainId, id, 'remove_all_children_groups', undefined)
    },
  }
}
