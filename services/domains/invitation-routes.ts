import { z } from 'zod'
import { endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { optional } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import { envelope, pageOf, pageQuery } from '../../platform/http/listing.ts'
import { PresentedInvitation, presentInvitation } from './present.ts'
import type { Domains, Invitations } from './service.ts'

const InDomain = z.object({ domain: z.string() })
const OneInvitation = InDomain.extend({ user: uuid })

const SendInvitation = z.object({
  invitee_user_id: uuid,
  role_id: z.string().min(1).max(100),
  resend: optional(z.boolean()),
})

const page = {
  ...pageQuery(),
  state: z
    .enum(['all', 'pending', 'accepted', 'rejected'])
    .default('all')
    .transform((state) => (state === 'all' ? undefined : state)),
  invited_by: uuid.optional(),
  role_id: z.string().max(100).optional(),
}
const ListOfDomain = z.object({ ...page, invitee_user_id: uuid.optional(), user_id: uuid.optional() })
const ListOwn = z.object({ ...page, domain_id: uuid.optional() })

const response = pageOf('invitations', PresentedInvitation)

/** Inviting people into a domain, and their answers (contract 4). */
export function invitationEndpoints({
  domains,
  invitations,
}: {
  domains: Domains
  invitations: Invitations
}): Endpoint[] {
  return [
    ...endpointsOfDomain(domains, invitations),
    ...endpointsOfInvitee(invitations),
    ...(['accept', 'reject'] as const).map((answer) =>
      endpoint({
        method: 'post',
        path: `/invitations/${answer}`,
        summary: answer === 'accept' ? 'Accept an invitation' : 'Turn an invitation down',
        access: 'session',
        body: z.object({ domain_id: z.string() }),
        status: 204,
        handle: async ({ principal, body }) =>
          invitations[answer](principal, await domains.findId(body.domain_id)),
      }),
    ),
  ]
}

function endpointsOfDomain(domains: Domains, invitations: Invitations): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/domains/:domain/invitations',
      summary: 'Invite a user into a domain',
      access: 'user',
      params: InDomain,
      body: SendInvitation,
      status: 201,
      async handle({ principal, params, body }) {
        await invitations.send(principal, await domains.resolveId(params.domain), {
          inviteeId: body.invitee_user_id,
          roleId: body.role_id,
          isResend: body.resend ?? false,
        })
      },
    }),

    endpoint({
      method: 'get',
      path: '/domains/:domain/invitations',
      summary: 'List the invitations into a domain',
      access: 'user',
      params: InDomain,
      query: ListOfDomain,
      status: 200,
      response,
      async handle({ principal, params, query }) {
        const domainId = await domains.resolveId(params.domain)
        const listed = await invitations.listOfDomain(principal, domainId, {
          offset: query.offset,
          limit: query.limit,
          state: query.state,
          inviteeId: query.invitee_user_id ?? query.user_id,
          invitedBy: query.invited_by,
          roleId: query.role_id,
        })
        return envelope('invitations', listed, query, presentInvitation)
      },
    }),

    endpoint({
      method: 'get',
      path: '/domains/:domain/invitations/:user',
      summary: 'Read the invitation of a user into a domain',
      access: 'user',
      params: OneInvitation,
      status: 200,
      response: PresentedInvitation,
      async handle({ principal, params }) {
        const domainId = await domains.findId(params.domain)
        return presentInvitation(await invitations.get(principal, domainId, params.user))
      },
    }),

    endpoint({
      method: 'delete',
      path: '/domains/:domain/invitations',
      summary: 'Take an invitation away',
      access: 'user',
      params: InDomain,
      body: z.object({ user_id: uuid }),
      status: 204,
      handle: async ({ principal, params, body }) =>
        invitations.remove(principal, await domains.findId(params.domain), body.user_id),
    }),

    endpoint({
      method: 'delete',
      path: '/domains/:domain/invitations/:user',
      summary: 'Take an invitation away, in its older form',
      access: 'user',
      params: OneInvitation,
      status: 204,
      handle: async ({ principal, params }) =>
        invitations.remove(principal, await domains.findId(params.domain), params.user),
    }),
  ]
}

function endpointsOfInvitee(invitations: Invitations): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/invitations',
      summary: "List one's own invitations",
      access: 'session',
      query: ListOwn,
      status: 200,
      response,
      async handle({ principal, query }) {
        const listed = await invitations.listOwn(principal, {
          offset: query.offset,
          limit: query.limit,
          state: query.state,
          domainId: query.domain_id,
          invitedBy: query.invited_by,
          roleId: query.role_id,
        })
        return envelope('invitations', listed, query, presentInvitation)
      },
    }),
  ]
}
