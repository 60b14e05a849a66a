import { randomUUID } from 'node:crypto'
import type { Db } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { Forbidden, NotFound } from '../../platform/errors.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import type { Journal } from '../journal/service.ts'
import * as repository from './repository.ts'
import type { DomainListing } from './repository.ts'
import type { Domain, DomainAsSeen, NewDomain } from './types.ts'

export type { DomainListing } from './repository.ts'
export type Domains = ReturnType<typeof createDomains>

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function createDomains({ db, journal, policy }: { db: Db; journal: Journal; policy: Policy }) {
  return {
    /**
     * Creates a domain and makes the caller its admin. Any signed-in user may.
     *
     * @throws {RouteTaken} @throws {IdTaken}
     */
    async create(principal: Principal, input: NewDomain): Promise<Domain> {
      policy.requireScope(principal, 'domains', 'create')
      const id = input.id ?? randomUUID()
      return db.transaction().execute(async (trx) => {
        const domain = await repository.insertDomain(trx, {
          ...input,
          id,
          route: input.route ?? id,
          createdBy: principal.userId,
        })
        await policy.grantAdmin(trx, principal, 'domain', [id], id)
        await journal.record(trx, {
          operation: 'domain.create',
          domainId: id,
          entityType: 'domain',
          entityId: id,
          actorId: principal.userId,
          attributes: { name: domain.name, route: domain.route },
        })
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

    /** The caller's domains; a superadmin sees all. */
    async list(principal: Principal, listing: DomainListing): Promise<Page<DomainAsSeen>> {
      policy.requireScope(principal, 'domains', 'list')
      return repository.listDomains(db, principal.userId, !principal.isSuperadmin, listing)
    },

    /**
     * The domains of a user, for that user and for superadmins (contract D36).
     *
     * @throws {Forbidden}
     */
    async listOf(principal: Principal, userId: string, listing: DomainListing): Promise<Page<DomainAsSeen>> {
      policy.requireScope(principal, 'domains', 'list')
      if (userId !== principal.userId && !principal.isSuperadmin) throw new Forbidden()
      return repository.listDomains(db, userId, true, listing)
    },

    /**
     * The id behind what a path names a domain with: an id as it stands, or a route.
     *
     * @throws {Forbidden} no domain has this route; existence is the members' business alone
     */
    async resolveId(reference: string): Promise<string> {
      const id = await this.findId(reference)
      if (id === undefined) throw new Forbidden('failed to perform authorization over the domain')
      return id
    },

    /** The id that an id or a route stands for; an id is not looked up. */
    async findId(reference: string): Promise<string | undefined> {
      const lower = reference.toLowerCase()
      return UUID.test(lower) ? lower : repository.findIdByRoute(db, lower)
    },
  }
}
