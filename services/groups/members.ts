import { sql } from 'kysely'
import type { Db } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import * as repository from './member-repository.ts'
import type { GroupMemberListing, MembershipListing } from './member-repository.ts'
import type { Group, GroupMember } from './types.ts'

export type GroupMembers = ReturnType<typeof createGroupMembers>

/** Who holds a role on a group, and on which groups somebody does (contract 3, 5, D14). */
export function createGroupMembers({ db, policy }: { db: Db; policy: Policy }) {
  return {
    /** The users with a role on the group itself. @throws {Forbidden} @throws {NotFound} */
    async list(
      principal: Principal,
      domainId: string,
      groupId: string,
      listing: GroupMemberListing,
    ): Promise<Page<GroupMember>> {
      // To see the group is enough, and so is to see its roles.
      const seesGroup = await policy.allows(principal, 'group.view', groupId)
      const operation = seesGroup ? 'group.view' : 'group.role_list_members'
      await policy.require(principal, operation, groupId, domainId)
      const seenBy = principal.isSuperadmin ? undefined : principal.userId
      return repository.listGroupMembers(db, groupId, seenBy, listing)
    },

    /**
     * The groups on which a user holds a role: all of them to the user and to superadmins, to others those of domains in
     * which they read all groups.
     */
    async listMemberships(
      principal: Principal,
      userId: string,
      listing: MembershipListing,
    ): Promise<Page<Group>> {
      const column = 'groups.domain_id'
      const visible = principal.isSuperadmin
        ? sql<boolean>`${sql.ref(column)} in (select id from domains where status <> 'deleted')`
        : principal.userId === userId
          ? policy.whereEntered(userId, column)
          : policy.whereEntered(principal.userId, column, 'group_read')
      return repository.listMemberships(db, userId, visible, listing)
    },
  }
}
