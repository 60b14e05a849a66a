import { randomUUID } from 'node:crypto'
import type { Db } from '../../platform/db/connect.ts'
import type { Listing, Page } from '../../platform/db/listing.ts'
import { NotFound } from '../../platform/errors.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import type { Journal } from '../journal/service.ts'
import * as repository from './repository.ts'
import type { GroupListing, Levels } from './repository.ts'
import type { Group, NewGroup } from './types.ts'

export type { GroupListing, Levels } from './repository.ts'
export type Groups = ReturnType<typeof createGroups>

export function createGroups({ db, journal, policy }: { db: Db; journal: Journal; policy: Policy }) {
  return {
    /**
     * Creates a group, under a parent or as a root, and makes the caller its admin.
     *
     * @throws {Forbidden} @throws {NotFound} no such parent in the domain
     * @throws {TooDeep}
     */
    async create(principal: Principal, input: NewGroup): Promise<Group> {
      await policy.requireCreate(principal, 'group', input.domainId, input.parentId)
      const id = randomUUID()
      return db.transaction().execute(async (trx) => {
        const group = await repository.insertGroup(trx, id, input, principal.userId)
        await policy.grantAdmin(trx, principal, 'group', [id], input.domainId)
        await journal.record(trx, {
          operation: 'group.create',
          domainId: input.domainId,
          entityType: 'group',
          entityId: id,
          actorId: principal.userId,
          attributes: { name: group.name, parent_id: group.parentId },
        })
        return group
      })
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async get(principal: Principal, domainId: string, id: string): Promise<Group> {
      await policy.require(principal, 'group.view', id, domainId)
      const group = await repository.findGroup(db, id)
      if (!group) throw new NotFound()
      return group
    },

    /** The groups of a domain that the caller may read. */
    async list(principal: Principal, domainId: string, listing: GroupListing): Promise<Page<Group>> {
      await policy.requireMember(principal, 'domain.list_groups', domainId)
      return repository.listGroups(db, domainId, policy.whereGranted(principal, 'group', 'read'), listing)
    },

    /** Groups below a group, the group itself too when the levels begin at 0. */
    async listChildren(
      principal: Principal,
      domainId: string,
      id: string,
      levels: Levels,
      listing: Listing,
    ): Promise<Page<Group>> {
      await policy.require(principal, 'group.list_children', id, domainId)
      const group = await repository.findGroup(db, id)
      if (!group) throw new NotFound()
      return repository.listDescendants(db, group, levels, listing)
    },
  }
}
