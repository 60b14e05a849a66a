import type { Db, Trx } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { transact } from '../../platform/db/transact.ts'
import { NotFound } from '../../platform/errors.ts'
import type { Policy } from '../auth/service.ts'
import type { ContainedType, Principal } from '../auth/types.ts'
import type { Journal } from '../journal/service.ts'
import { StatusUnchanged } from './errors.ts'
import { mayUpdate, openList, withAccess } from './lists.ts'
import type { View } from './lists.ts'
import * as repository from './repository.ts'
import type { Columns } from './repository.ts'
import type { Entity, EntityListing } from './types.ts'

export interface EntityParts<T extends Entity, L extends EntityListing = EntityListing> {
  readonly type: ContainedType
  readonly db: Db
  readonly journal: Journal
  readonly policy: Policy
  /** `undefined` for what was deleted. */
  readonly find: (db: Db, id: string) => Promise<T | undefined>
  readonly list: (db: Db, view: View, listing: L) => Promise<Page<T>>
  /** Makes of an entity what is shown to those who may not update it. */
  readonly hide?: (entity: T) => T
  /** Undoes what hangs on an entity that is about to be deleted. @returns what to tell the journal */
  readonly release: (trx: Trx, entity: T, principal: Principal) => Promise<Record<string, unknown>>
}

export type EntityRules<T extends Entity> = ReturnType<typeof createEntityRules<T, EntityListing>>

/** What is done to a group, a client and a channel alike. A service takes these among its own methods. */
export function createEntityRules<T extends Entity, L extends EntityListing>(parts: EntityParts<T, L>) {
  const { type, db, journal, policy, find, list, release, hide = (entity) => entity } = parts

  async function read(from: Db, id: string): Promise<T> {
    const entity = await find(from, id)
    if (!entity) throw new NotFound()
    return entity
  }

  /** What the caller may see of an entity after doing something that takes the permission to update it. */
  const show = (principal: Principal, entity: T) =>
    policy.isInScope(principal, `${type}.update`, entity.id, entity.domainId) ? entity : hide(entity)

  const record = (
    trx: Trx,
    principal: Principal,
    entity: Pick<Entity, 'id' | 'domainId'>,
    verb: string,
    attributes: Record<string, unknown>,
  ) =>
    journal.record(trx, {
      operation: `${type}.${verb}`,
      domainId: entity.domainId,
      entityType: type,
      entityId: entity.id,
      actorId: principal.userId,
      attributes,
    })

  async function setStatus(principal: Principal, domainId: string, id: string, verb: 'enable' | 'disable') {
    const status = verb === 'enable' ? 'enabled' : 'disabled'
    return transact(db, async (trx) => {
      const isChanged = await repository.updateStatus(trx, type, id, status, principal.userId)
      const entity = await read(trx, id)
      if (!isChanged) throw new StatusUnchanged()
      await record(trx, principal, { id, domainId }, verb, { status })
      return show(principal, entity)
    })
  }

  return {
    show,

    /**
     * The entity, and through which roles the caller sees it.
     *
     * @throws {Forbidden} @throws {NotFound}
     */
    async get(principal: Principal, domainId: string, id: string): Promise<T> {
      await policy.require(principal, `${type}.view`, id, domainId)
      const [entity, ways] = await Promise.all([
        read(db, id),
        policy.findAccess(principal.userId, type, [id]),
      ])
      const access = ways.get(id) ?? []
      return { ...(mayUpdate(policy, principal, type, entity, access) ? entity : hide(entity)), access }
    },

    /** Those that the caller may read, of one domain or of all; see {@link openList} for what it may throw. */
    async list(principal: Principal, listing: L): Promise<Page<T>> {
      const view = await openList(policy, principal, type, listing)
      return withAccess(policy, view, await list(db, view, listing), hide)
    },

    /**
     * Changes columns; what is `undefined` stays.
     *
     * @param attributes what the journal says was changed
     * @throws {Forbidden} @throws {NotFound}
     */
    async change(
      principal: Principal,
      domainId: string,
      id: string,
      columns: Columns,
      attributes: Record<string, unknown> = columns,
    ): Promise<T> {
      await policy.require(principal, `${type}.update`, id, domainId)
      return transact(db, async (trx) => {
        if (!(await repository.updateEntity(trx, type, id, columns, principal.userId))) throw new NotFound()
        await record(trx, principal, { id, domainId }, 'update', attributes)
        return read(trx, id)
      })
    },

    /**
     * Replaces the tags. Without tags nothing changes (contract 1.2).
     *
     * @throws {Forbidden} @throws {NotFound}
     */
    async setTags(
      principal: Principal,
      domainId: string,
      id: string,
      tags: readonly string[] | undefined,
    ): Promise<T> {
      await policy.require(principal, `${type}.update_tags`, id, domainId)
      if (tags === undefined) return show(principal, await read(db, id))
      return transact(db, async (trx) => {
        const columns = { tags: [...tags] }
        if (!(await repository.updateEntity(trx, type, id, columns, principal.userId))) throw new NotFound()
        await record(trx, principal, { id, domainId }, 'update_tags', { tags })
        return show(principal, await read(trx, id))
      })
    },

    /** @throws {Forbidden} @throws {NotFound} @throws {StatusUnchanged} */
    async enable(principal: Principal, domainId: string, id: string): Promise<T> {
      await policy.require(principal, `${type}.enable`, id, domainId)
      return setStatus(principal, domainId, id, 'enable')
    },

    /**
     * Ends what it allowed, on live connections within a second.
     *
     * @throws {Forbidden} @throws {NotFound} @throws {StatusUnchanged}
     */
    async disable(principal: Principal, domainId: string, id: string): Promise<T> {
      await policy.require(principal, `${type}.disable`, id, domainId)
      return setStatus(principal, domainId, id, 'disable')
    },

    /**
     * Deletes: takes away what hangs on the entity, and all roles on it.
     *
     * @throws {Forbidden} @throws {NotFound}
     */
    async remove(principal: Principal, domainId: string, id: string): Promise<void> {
      await policy.require(principal, `${type}.remove`, id, domainId)
      await transact(db, async (trx) => {
        const entity = await read(trx, id)
        const attributes = await release(trx, entity, principal)
        if (!(await repository.markDeleted(trx, type, id, principal.userId))) throw new NotFound()
        await policy.revokeAll(trx, type, id)
        await record(trx, principal, entity, 'remove', { name: entity.name, ...attributes })
      })
    },
  }
}
