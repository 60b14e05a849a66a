import { z } from 'zod'
import { entityShape, presentEntity } from '../entities/wire.ts'
import type { Group } from './types.ts'

export const GroupBody = z.object({
  ...entityShape,
  parent_id: z.uuid().optional(),
  description: z.string(),
  level: z.int(),
  path: z.string(),
  // The annotation ends the circle that inference would run in.
  get children(): z.ZodType {
    return z.array(GroupBody).optional()
  },
})

export type PresentedGroup = ReturnType<typeof presentGroup> & { children?: PresentedGroup[] }

/** @param level counted from a root, which is 1, unless said otherwise */
export function presentGroup(group: Group, level = group.path.length) {
  return {
    ...presentEntity('group', group),
    parent_id: group.parentId ?? undefined,
    description: group.description,
    level,
    path: group.path.join('.'),
  }
}

/**
 * Nests groups under their parents as far as these are among them.
 *
 * @param zero the depth that counts as level 0; roots of the domain are at depth 1
 * @returns those whose parent is not among them
 */
export function nest(groups: readonly Group[], zero = 0): PresentedGroup[] {
  const presented = new Map<string, PresentedGroup>(
    groups.map((group) => [group.id, { ...presentGroup(group, group.path.length - zero), children: [] }]),
  )
  const roots: PresentedGroup[] = []
  for (const group of groups) {
    const own = presented.get(group.id)
    if (!own) continue
    const siblings = group.parentId === null ? undefined : presented.get(group.parentId)?.children
    if (siblings) siblings.push(own)
    else roots.push(own)
  }
  return roots
}
