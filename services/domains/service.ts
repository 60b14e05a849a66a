import { randomUUID } from 'node:crypto'
import type { Trx } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { Forbidden, InvalidInput, NotFound } from '../../platform/errors.ts'
import { isUuid } from '../../platform/identifiers.ts'
import { OutsideDomain } from '../auth/errors.ts'
import type { Principal } from '../auth/types.ts'
import * as invitationRepository from './invitation-repository.ts'
import type { DomainRules, DomainsParts } from './parts.ts'
import * as repository from './repository.ts'
import type { DomainListing } from './repository.ts'
import { StatusUnchanged } from '../entities/errors.ts'
import type { Domain, DomainAsSeen, DomainChange, NewDomain } from './types.ts'

export type { DomainListing } from './repository.ts'
export type { Invitations } from './invitations.ts'
export type Domains = ReturnType<typeof createDomains>

/** What becomes of a domain by each of these. */
const STATUS_AFTER = { enable: 'enabled', disable: 'disabled', freeze: 'freezed', delete: 'deleted' } as const

export function createDomains({
  db,
  journal,
  policy,
  roles,
  platformRetentionDays,
}: DomainsParts & DomainRules) {
  /** Readings go by whole weeks, once no domain wants them: one that keeps them longer keeps those of all. */
  function requireRetention(principal: Principal, days: number | null | undefined): void {
    if (principal.isSuperadmin || platformRetentionDays === 0 || (days ?? 0) <= platformRetentionDays) return
    const message = `message_retention_days: at most ${platformRetentionDays}, as long as the platform keeps messages`
    throw new InvalidInput(message)
  }

  const record = (
    trx: Trx,
    principal: Principal,
    operation: string,
    id: string,
    attributes: Record<string, unknown>,
  ) =>
    journal.record(trx, {
      operation,
      domainId: id,
      entityType: 'domain',
      entityId: id,
      actorId: principal.userId,
      attributes,
    })

  return {
    /**
     * Creates a domain and makes the caller its admin. Any signed-in user may.
     *
     * @throws {RouteTaken} @throws {IdTaken}
     * @throws {InvalidInput} messages are to be kept longer than the platform does
     */
    async create(principal: Principal, input: NewDomain): Promise<Domain> {
      policy.requireScope(principal, 'domains', 'create')
      requireRetention(principal, input.messageRetentionDays)
      const id = input.id ?? randomUUID()
      return db.transaction().execute(async (trx) => {
        const domain = await repository.insertDomain(trx, {
          ...input,
          id,
          route: input.route ?? id,
          createdBy: principal.userId,
        })
        await policy.grantAdmin(trx, principal, 'domain', [id], id)
        const { name, route } = domain
        await record(trx, principal, 'domain.create', id, { name, route })
        return domain
      })
    },

    /** @throws {Forbidden} not a member, or no such domain */
    async get(principal: Principal, id: string): Promise<DomainAsSeen> {
      await policy.requireMember(principal, 'domain.view', id)
      const domain = await repository.findDomain(db, id, principal.userId)
      if (!domain) throw new NotFound()
      return domain
    },

    /** The domains that the caller belongs to and that let the caller in; a superadmin sees all. */
    async list(principal: Principal, listing: DomainListing): Promise<Page<DomainAsSeen>> {
      policy.requireScope(principal, 'domains', 'list')
      const { userId, isSuperadmin } = principal
      const visible = isSuperadmin ? undefined : policy.whereEntered(userId, 'domains.id')
      return repository.listDomains(db, userId, visible, listing)
    },

    /** @throws {Forbidden} @throws {NotFound} @throws {InvalidInput} as {@link create} */
    async update(principal: Principal, id: string, change: DomainChange): Promise<Domain> {
      await policy.require(principal, 'domain.update', id)
      requireRetention(principal, change.messageRetentionDays)
      return db.transaction().execute(async (trx) => {
        const domain = await repository.updateDomain(trx, id, change, principal.userId)
        if (!domain) throw new NotFound()
        const { messageRetentionDays: days, ...rest } = change
        const kept = days === undefined ? {} : { message_retention_days: days }
        await record(trx, principal, 'domain.update', id, { ...rest, ...kept })
        return domain
      })
    },

    /**
     * Opens a domain, shuts it for all but its admins, or for all but superadmins. Acts on live connections within a second.
     *
     * @throws {Forbidden} @throws {NotFound} @throws {StatusUnchanged}
     */
    async changeStatus(
      principal: Principal,
      id: string,
      verb: 'enable' | 'disable' | 'freeze',
    ): Promise<Domain> {
      await policy.require(principal, `domain.${verb}`, id)
      const status = STATUS_AFTER[verb]
      return roles.changes.alone(id, async (trx, statusBefore) => {
        if (statusBefore === status) throw new StatusUnchanged()
        const domain = await repository.updateDomain(trx, id, { status }, principal.userId)
        if (!domain) throw new NotFound()
        await record(trx, principal, `domain.${verb}`, id, { status })
        return domain
      })
    },

    /**
     * Deletes a domain: nobody belongs to it any more, what is in it cannot be reached, and its route is free.
     *
     * @throws {Forbidden} @throws {NotFound}
     */
    async remove(principal: Principal, id: string): Promise<void> {
      await policy.require(principal, 'domain.delete', id)
      await roles.changes.alone(id, async (trx) => {
        await repository.updateDomain(trx, id, { status: STATUS_AFTER.delete }, principal.userId)
        await roles.changes.dissolve(trx, id)
        await invitationRepository.deleteInvitations(trx, id)
        await record(trx, principal, 'domain.delete', id, {})
      })
    },

    /**
     * The domains of a user, for that user and for superadmins (contract D36).
     *
     * @throws {Forbidden}
     */
    async listOf(principal: Principal, userId: string, listing: DomainListing): Promise<Page<DomainAsSeen>> {
      policy.requireScope(principal, 'domains', 'list')
      if (userId !== principal.userId && !principal.isSuperadmin) throw new Forbidden()
      return repository.listDomains(db, userId, policy.whereEntered(userId, 'domains.id'), listing)
    },

    /**
     * The id behind what a path names a domain with: an id as it stands, or a route.
     *
     * @throws {Forbidden} no domain has this route; existence is the members' business alone
     */
    async resolveId(reference: string): Promise<string> {
      const id = await this.findId(reference)
      if (id === undefined) throw new OutsideDomain()
      return id
    },

    /** The id that an id or a route stands for; an id is not looked up. */
    async findId(reference: string): Promise<string | undefined> {
      const lower = reference.toLowerCase()
      return isUuid(lower) ? lower : repository.findIdByRoute(db, lower)
    },
  }
}
