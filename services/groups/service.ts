import { randomUUID } from 'node:crypto'
import type { Db } from '../../platform/db/connect.ts'
import type { Listing, Page } from '../../platform/db/listing.ts'
import { transact } from '../../platform/db/transact.ts'
import { NotFound } from '../../platform/errors.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import { createEntityRules } from '../entities/rules.ts'
import type { Journal } from '../journal/service.ts'
import * as repository from './repository.ts'
import type { GroupListing, Levels, Way } from './repository.ts'
import { createTreeRules } from './tree.ts'
import * as tree from './tree-repository.ts'
import type { Group, GroupChange, NewGroup } from './types.ts'

export type { GroupListing, Levels } from './repository.ts'
export type Groups = ReturnType<typeof createGroups>

export function createGroups({ db, journal, policy }: { db: Db; journal: Journal; policy: Policy }) {
  const rules = createEntityRules<Group, GroupListing>({
    type: 'group',
    db,
    journal,
    policy,
    find: repository.findGroup,
    list: repository.listGroups,
    async release(trx, { id, domainId }, principal) {
      await tree.lockTree(trx, domainId, 'change')
      // Read again: it may have been moved before the tree was ours.
      const group = await repository.findGroup(trx, id)
      if (!group) throw new NotFound()
      const children = await tree.detachChildren(trx, group, undefined, principal.userId)
      return { children_ids: children, ...(await tree.releaseMembers(trx, id)) }
    },
  })

  async function read(id: string): Promise<Group> {
    const group = await repository.findGroup(db, id)
    if (!group) throw new NotFound()
    return group
  }

  return {
    ...rules,
    ...createTreeRules({ db, journal, policy }),

    /**
     * Creates a group, under a parent or as a root, and makes the caller its admin.
     *
     * @throws {Forbidden} @throws {NotFound} no such parent in the domain
     * @throws {TooDeep}
     */
    async create(principal: Principal, input: NewGroup): Promise<Group> {
      const { domainId, parentId } = input
      await policy.requireCreate(principal, 'group', domainId, parentId)
      const id = randomUUID()
      return transact(db, async (trx) => {
        let parentPath: readonly string[] = []
        if (parentId !== undefined) {
          await tree.lockTree(trx, domainId, 'add')
          const parent = await repository.findGroup(trx, parentId)
          if (!parent) throw new NotFound()
          parentPath = parent.path
        }
        const group = await repository.insertGroup(trx, id, input, parentPath, principal.userId)
        await policy.grantAdmin(trx, principal, 'group', [id], domainId)
        await journal.record(trx, {
          operation: 'group.create',
          domainId,
          entityType: 'group',
          entityId: id,
          actorId: principal.userId,
          attributes: { name: group.name, parent_id: group.parentId },
        })
        return group
      })
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async update(
      principal: Principal,
      domainId: string,
      id: string,
      { name, description, metadata }: GroupChange,
    ): Promise<Group> {
      return rules.change(principal, domainId, id, { name, description, metadata })
    },

    /**
     * Groups below a group, the group itself too when the levels begin at 0.
     *
     * @returns also the group, which counts the levels
     * @throws {Forbidden} @throws {NotFound}
     */
    async listChildren(
      principal: Principal,
      domainId: string,
      id: string,
      levels: Levels,
      listing: Listing,
    ): Promise<{ readonly group: Group; readonly children: Page<Group> }> {
      await policy.require(principal, 'group.list_children', id, domainId)
      const group = await read(id)
      return { group, children: await repository.listDescendants(db, group, levels, listing) }
    },

    /**
     * The group and all above it, or all below it, as far as the depth goes; from the top down.
     *
     * @throws {Forbidden} @throws {NotFound}
     */
    async hierarchy(principal: Principal, domainId: string, id: string, way: Way): Promise<Group[]> {
      await policy.require(principal, 'group.retrieve_hierarchy', id, domainId)
      return repository.listHierarchy(db, await read(id), way)
    },

    /**
     * Groups above a group, without itself.
     *
     * @returns also the group, which counts the levels
     * @throws {Forbidden} @throws {NotFound}
     */
    async listParents(
      principal: Principal,
      domainId: string,
      id: string,
      listing: Listing,
    ): Promise<{ readonly group: Group; readonly parents: Page<Group> }> {
      await policy.require(principal, 'group.list_parents', id, domainId)
      const group = await read(id)
      return { group, parents: await repository.listAncestors(db, group, listing) }
    },
  }
}
