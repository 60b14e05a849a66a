import type { Trx } from '../../platform/db/connect.ts'
import type { Page } from '../../platform/db/listing.ts'
import { Forbidden, NotFound } from '../../platform/errors.ts'
import type { EntityRef, Principal } from '../auth/types.ts'
import { OutsideDomain } from '../auth/errors.ts'
import { AlreadyAnswered, AlreadyInvited, AlreadyMember } from './errors.ts'
import type { DomainsParts } from './parts.ts'
import * as repository from './invitation-repository.ts'
import type { InvitationListing } from './invitation-repository.ts'
import { stateOf } from './types.ts'
import type { Invitation, NewInvitation } from './types.ts'

export type { InvitationListing } from './invitation-repository.ts'
export type Invitations = ReturnType<typeof createInvitations>

const LIFETIME_MS = 7 * 24 * 60 * 60 * 1_000

/** How people come into a domain: a member of its role `admin` offers a role, the invitee takes it or not (contract 4). */
export function createInvitations({ db, journal, policy, roles }: DomainsParts) {
  const { changes } = roles
  const refTo = (domainId: string): EntityRef => ({ type: 'domain', id: domainId, domainId })

  const record = (
    trx: Trx,
    principal: Principal,
    verb: 'send' | 'accept' | 'reject' | 'delete',
    domainId: string,
    attributes: { readonly invitee_user_id: string; readonly role_id?: string },
  ) =>
    journal.record(trx, {
      operation: `invitation.${verb}`,
      domainId,
      entityType: 'domain',
      entityId: domainId,
      actorId: principal.userId,
      attributes,
    })

  /** Who may give roles in a domain to strangers: not whoever may make roles, but its admins. @throws {Forbidden} */
  async function requireAdmin(principal: Principal, domainId: string): Promise<void> {
    await policy.require(principal, 'domain.send_invitation', domainId)
    if (principal.isSuperadmin) return
    const role = await changes.findOf(db, refTo(domainId), principal.userId)
    if (!role?.isBuiltIn) throw new Forbidden()
  }

  /** The caller's own invitation as an answer finds it. @throws {NotFound} @throws {AlreadyAnswered} */
  async function getOpen(domainId: string | undefined, userId: string, trx?: Trx): Promise<Invitation> {
    const found = domainId && (await repository.findInvitation(trx ?? db, domainId, userId))
    if (!found) throw new NotFound()
    const state = stateOf(found)
    if (state !== 'pending') throw new AlreadyAnswered(state)
    return found
  }

  return {
    /**
     * Offers a role of the domain to a user.
     *
     * @throws {Forbidden} not in the domain's role `admin`
     * @throws {NotFound} no such role on the domain
     * @throws {UnknownUser} @throws {AlreadyMember}
     * @throws {AlreadyInvited} and not answered; or answered, and not to be sent again
     */
    async send(principal: Principal, domainId: string, input: NewInvitation): Promise<void> {
      await requireAdmin(principal, domainId)
      const { inviteeId, roleId } = input
      await changes.alone(domainId, async (trx) => {
        await changes.get(trx, refTo(domainId), roleId)
        await changes.requireUsers(trx, [inviteeId])
        if (await changes.findOf(trx, refTo(domainId), inviteeId)) throw new AlreadyMember()
        const isSent = await repository.upsertInvitation(
          trx,
          {
            domainId,
            inviteeId,
            invitedBy: principal.userId,
            roleId,
            expiresAt: new Date(Date.now() + LIFETIME_MS),
          },
          { replacesAnswered: input.isResend },
        )
        if (!isSent) {
          const inTheWay = await repository.findInvitation(trx, domainId, inviteeId)
          throw new AlreadyInvited(inTheWay ? stateOf(inTheWay) : 'pending')
        }
        await record(trx, principal, 'send', domainId, { invitee_user_id: inviteeId, role_id: roleId })
      })
    },

    /** The invitations into a domain. @throws {Forbidden} */
    async listOfDomain(
      principal: Principal,
      domainId: string,
      listing: Omit<InvitationListing, 'domainId'>,
    ): Promise<Page<Invitation>> {
      await policy.require(principal, 'domain.list_invitations', domainId)
      return repository.listInvitations(db, { ...listing, domainId })
    },

    /** The invitations addressed to the caller. */
    async listOwn(
      principal: Principal,
      listing: Omit<InvitationListing, 'inviteeId'>,
    ): Promise<Page<Invitation>> {
      return repository.listInvitations(db, { ...listing, inviteeId: principal.userId })
    },

    /**
     * One invitation: the invitee's own, or any to who may list them.
     *
     * @param domainId `undefined` where the path names a domain that is not there
     * @throws {Forbidden} @throws {NotFound}
     */
    async get(principal: Principal, domainId: string | undefined, inviteeId: string): Promise<Invitation> {
      if (principal.userId !== inviteeId) {
        await policy.require(principal, 'domain.list_invitations', known(domainId))
      } else policy.requireScope(principal, 'domains', 'list_domain_invitation', domainId)
      const invitation = domainId && (await repository.findInvitation(db, domainId, inviteeId))
      if (!invitation) throw new NotFound()
      return invitation
    },

    /**
     * Takes an invitation away: the invitee, who sent it, and who may invite can do that. A membership that came of it stays.
     *
     * @throws {Forbidden} @throws {NotFound}
     */
    async remove(principal: Principal, domainId: string | undefined, inviteeId: string): Promise<void> {
      if (principal.userId !== inviteeId) {
        const id = known(domainId)
        await policy.requireMember(principal, 'domain.delete_invitation', id)
        const sent = await repository.findInvitation(db, id, inviteeId)
        if (sent?.invitedBy !== principal.userId) {
          await policy.require(principal, 'domain.delete_invitation', id)
        }
      } else policy.requireScope(principal, 'domains', 'delete_invitation', domainId)
      if (domainId === undefined) throw new NotFound()
      await db.transaction().execute(async (trx) => {
        if (!(await repository.findInvitation(trx, domainId, inviteeId))) throw new NotFound()
        if (!(await repository.deleteInvitation(trx, domainId, inviteeId))) throw new NotFound()
        await record(trx, principal, 'delete', domainId, { invitee_user_id: inviteeId })
      })
    },

    /**
     * Takes the offer: the caller becomes member of the role.
     *
     * @throws {NotFound} no invitation, or too old
     * @throws {AlreadyAnswered} @throws {AlreadyInRole} meanwhile a member otherwise
     * @throws {Forbidden} the domain lets nobody in now
     */
    async accept(principal: Principal, domainId: string | undefined): Promise<void> {
      const { userId } = principal
      const { domainId: id } = await getOpen(domainId, userId)
      await changes.alone(id, async (trx, domainStatus) => {
        const { roleId } = await getOpen(id, userId, trx)
        if (domainStatus !== 'enabled') {
          throw new OutsideDomain()
        }
        const role = await changes.get(trx, refTo(id), roleId)
        await changes.addMembers(trx, userId, role, [userId])
        await repository.answerInvitation(trx, id, userId, 'accepted')
        await record(trx, principal, 'accept', id, { invitee_user_id: userId, role_id: roleId })
      })
    },

    /** Turns the offer down. @throws {NotFound} @throws {AlreadyAnswered} */
    async reject(principal: Principal, domainId: string | undefined): Promise<void> {
      const { userId } = principal
      const { domainId: id } = await getOpen(domainId, userId)
      await changes.alone(id, async (trx) => {
        const { roleId } = await getOpen(id, userId, trx)
        await repository.answerInvitation(trx, id, userId, 'rejected')
        await record(trx, principal, 'reject', id, { invitee_user_id: userId, role_id: roleId })
      })
    },
  }
}

/** @throws {Forbidden} as for a domain that is there and not the caller's */
function known(domainId: string | undefined): string {
  if (domainId === undefined) throw new OutsideDomain()
  return domainId
}
