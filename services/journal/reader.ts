import type { Db } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { NotFound } from '../../platform/errors.ts'
import type { Principal } from '../../platform/principal.ts'
import * as repository from './repository.ts'
import type { EntityType, Entry, EntryFilter } from './types.ts'

/** Who may read the journal of what. Answered by services that stand to the right of this one. */
export interface JournalAccess {
  /** @throws {Forbidden} neither the user nor a superadmin */
  requireUser(principal: Principal, userId: string): void
  /**
   * The id of the domain that a path names, if the caller may read the entity there.
   *
   * @param domain id or route
   * @returns `isGone`: there is no such entity, or none any more, and the caller may know what was
   * @throws {Forbidden} @throws {NotFound}
   */
  requireEntity(
    principal: Principal,
    domain: string,
    type: EntityType,
    id: string,
  ): Promise<{ readonly domainId: string; readonly isGone: boolean }>
}

export type JournalReader = ReturnType<typeof createJournalReader>

/** Reads the journal (contract 10). */
export function createJournalReader({ db, access }: { db: Db; access: JournalAccess }) {
  return {
    /**
     * What was done to a user, and what the user has done, in all domains.
     *
     * @throws {Forbidden}
     */
    async listOfUser(principal: Principal, userId: string, filter: EntryFilter): Promise<Page<Entry>> {
      access.requireUser(principal, userId)
      return repository.listEntries(db, { type: 'user', id: userId, domainId: undefined }, filter)
    },

    /**
     * What was done to an entity of a domain; with a user, what was done to the user and by the user there.
     *
     * @param domain id or route
     * @throws {Forbidden} @throws {NotFound}
     */
    async listOfEntity(
      principal: Principal,
      domain: string,
      subject: { readonly type: EntityType; readonly id: string },
      filter: EntryFilter,
    ): Promise<Page<Entry>> {
      const { domainId, isGone } = await access.requireEntity(principal, domain, subject.type, subject.id)
      const inDomain = { ...subject, domainId }
      if (isGone && !(await repository.hasEntries(db, inDomain))) throw new NotFound()
      return repository.listEntries(db, inDomain, filter)
    },
  }
}
