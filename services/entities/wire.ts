import { z } from 'zod'
import { flag, metadata, optional, tags, text } from '../../platform/http/input.ts'
import { uuid } from '../../platform/identifiers.ts'
import { commaList, listingQuery, toListing } from '../../platform/http/listing.ts'
import { grants, PresentedAccess, presentAccess } from '../auth/service.ts'
import type { ContainedType, Principal } from '../auth/types.ts'
import type { Entity, EntityListing, Grouped, NewGrouped } from './types.ts'

export const InDomain = z.object({ domain: z.string() })
export const OneEntity = InDomain.extend({ id: uuid })
export const TagsBody = z.object({ tags: optional(tags) })
export const ParentGroupBody = z.object({ parent_group_id: uuid })
export const RolesQuery = z.object({ roles: flag.default(false) })

/** Query parameters that the lists of groups, clients and channels take (contract 1.5). */
export const EntityQuery = listingQuery(
  ['enabled', 'disabled', 'deleted'],
  ['name', 'created_at', 'updated_at'],
).extend({
  user: uuid.optional(),
  actions: commaList.optional(),
  access_type: z.enum(['direct', 'direct_group', 'indirect_group', 'domain']).optional(),
  role_id: z.string().max(256).optional(),
  role_name: z.string().max(256).optional(),
})

/** Of clients and channels: by what they are connected to. */
export const connectionType = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['publish', 'subscribe']))

/** What creating a client or a channel takes. */
export const newGrouped = {
  id: optional(uuid),
  name: optional(text(1024)),
  tags: optional(tags),
  metadata: optional(metadata),
  status: optional(z.enum(['enabled', 'disabled'])),
  parent_group_id: optional(uuid),
}

/** Its defaults. */
export function readNewGrouped(body: z.output<z.ZodObject<typeof newGrouped>>): NewGrouped {
  return {
    id: body.id,
    name: body.name ?? '',
    tags: body.tags ?? [],
    metadata: body.metadata ?? {},
    status: body.status ?? 'enabled',
    parentGroupId: body.parent_group_id,
  }
}

/**
 * The checked query as services take it.
 *
 * @param ofUser the user named by the path, whose list it is
 */
export function toEntityListing(
  query: z.output<typeof EntityQuery>,
  domainId: string | undefined,
  ofUser?: string,
): Omit<EntityListing, 'group'> {
  const viewer = ofUser ?? query.user
  return {
    ...toListing(query),
    domainId,
    access: {
      actions: query.actions,
      accessType: query.access_type,
      roleId: query.role_id,
      roleName: query.role_name,
    },
    seenBy: viewer === undefined ? undefined : { userId: viewer, orShared: ofUser !== undefined },
  }
}

const time = z.iso.datetime()
const actions = z.array(z.string())

/** What an answer says of every entity. */
export const entityShape = {
  id: z.uuid(),
  domain_id: z.uuid(),
  name: z.string(),
  tags: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()),
  status: z.enum(['enabled', 'disabled', 'deleted']),
  created_at: time,
  updated_at: time,
  updated_by: z.uuid().optional(),
  role_id: z.string().optional(),
  role_name: z.string().optional(),
  actions: actions.optional(),
  access_type: z.string().optional(),
  access_provider_id: z.uuid().optional(),
  access_provider_role_id: z.string().optional(),
  access_provider_role_name: z.string().optional(),
  access_provider_role_actions: actions.optional(),
  member_id: z.uuid().optional(),
  roles: z.array(PresentedAccess).optional(),
}

/** And of those that stand in a group. */
export const groupedShape = {
  ...entityShape,
  parent_group_id: z.uuid().optional(),
  parent_group_path: z.string().optional(),
  connection_types: z.array(z.enum(['Publish', 'Subscribe'])).optional(),
}

/** The fields that all entities show, and through which role one is seen where that is known. */
export function presentEntity(type: ContainedType, entity: Entity) {
  return {
    id: entity.id,
    domain_id: entity.domainId,
    name: entity.name,
    tags: entity.tags,
    metadata: entity.metadata,
    status: entity.status,
    created_at: entity.createdAt,
    updated_at: entity.updatedAt,
    updated_by: entity.updatedBy ?? undefined,
    ...presentClosest(type, entity),
  }
}

/** Its parent group besides. */
export function presentGrouped(type: ContainedType, entity: Grouped) {
  return {
    ...presentEntity(type, entity),
    parent_group_id: entity.parentGroupId ?? undefined,
    parent_group_path: entity.parentGroupPath === '' ? undefined : entity.parentGroupPath,
    connection_types: entity.connectionTypes?.map((word) => (word === 'publish' ? 'Publish' : 'Subscribe')),
  }
}

/** The closest role that reads: its own fields when it is on the entity, those of its provider when it is further up (contract 5). */
function presentClosest(type: ContainedType, { access }: Entity) {
  const closest = access?.find((one) => grants(type, one, 'read'))
  if (!closest) return {}
  const { roleId, roleName, actions, accessType } = closest
  return accessType === 'direct'
    ? { role_id: roleId, role_name: roleName, actions, access_type: accessType }
    : {
        access_type: accessType,
        access_provider_id: closest.providerId ?? undefined,
        access_provider_role_id: roleId,
        access_provider_role_name: roleName,
        access_provider_role_actions: actions,
      }
}

/** All roles through which the caller has access, for `roles=true`. */
export function presentRoles({ userId }: Principal, { access }: Entity) {
  return { member_id: userId, roles: (access ?? []).map(presentAccess) }
}
