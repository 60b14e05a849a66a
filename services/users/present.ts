import { z } from 'zod'
import type { Principal, TokenPair } from '../auth/types.ts'
import { seesAll } from './service.ts'
import type { User } from './types.ts'

const status = z.enum(['enabled', 'disabled', 'deleted'])
const json = z.record(z.string(), z.unknown())
const time = z.iso.datetime()

/** What anybody who is signed in may know of a user. */
const PublicUserBody = z.object({
  id: z.uuid(),
  first_name: z.string(),
  last_name: z.string(),
  credentials: z.object({ username: z.string() }),
  profile_picture: z.string(),
  tags: z.array(z.string()),
  metadata: json,
  status,
})

/** A whole user; what others do not see is absent then. */
export const UserBody = PublicUserBody.extend({
  email: z.string(),
  private_metadata: json,
  role: z.enum(['user', 'admin']),
  created_at: time,
  updated_at: time,
  updated_by: z.uuid().optional(),
  verified_at: time.optional(),
  auth_provider: z.string(),
})

/** A user as the caller may see one: the fields of {@link PublicUserBody} at the least. */
export const SeenUserBody = UserBody.partial().extend(PublicUserBody.shape)

/** As found by a search: the shapes of the contract's sources at once (D10). */
export const FoundUserBody = z.object({
  id: z.uuid(),
  username: z.string(),
  first_name: z.string(),
  last_name: z.string(),
  credentials: z.object({ username: z.string() }),
  /** Empty for those who may not see it. */
  email: z.string(),
})

/** A token pair as the API writes it. */
export const TokenPairBody = z.object({
  access_token: z.string(),
  refresh_token: z.string(),
  access_type: z.literal('Bearer'),
})

/** The whole record for oneself and superadmins, the public part for others (contract 3). */
export function present(principal: Principal, user: User): z.input<typeof SeenUserBody> {
  return seesAll(principal, user) ? presentWhole(user) : presentToOthers(user)
}

export function presentFound(principal: Principal, user: User): z.input<typeof FoundUserBody> {
  return {
    id: user.id,
    username: user.username,
    first_name: user.firstName,
    last_name: user.lastName,
    credentials: { username: user.username },
    email: seesAll(principal, user) ? user.email : '',
  }
}

function presentToOthers(user: User): z.input<typeof PublicUserBody> {
  return {
    id: user.id,
    first_name: user.firstName,
    last_name: user.lastName,
    credentials: { username: user.username },
    profile_picture: user.profilePicture,
    tags: [...user.tags],
    metadata: user.metadata,
    status: user.status,
  }
}

export function presentWhole(user: User): z.input<typeof UserBody> {
  return {
    ...presentToOthers(user),
    email: user.email,
    private_metadata: user.privateMetadata,
    role: user.role,
    created_at: user.createdAt.toISOString(),
    updated_at: user.updatedAt.toISOString(),
    updated_by: user.updatedBy ?? undefined,
    verified_at: user.verifiedAt?.toISOString(),
    auth_provider: user.authProvider,
  }
}

export function presentTokens(pair: TokenPair): z.input<typeof TokenPairBody> {
  return { access_token: pair.accessToken, refresh_token: pair.refreshToken, access_type: 'Bearer' }
}
