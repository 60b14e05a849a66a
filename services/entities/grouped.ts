import type { Trx } from '../../platform/db/connect.ts'
import { createParentRules } from './parents.ts'
import { createEntityRules } from './rules.ts'
import type { EntityParts } from './rules.ts'
import type { Grouped, GroupedListing, GroupedType } from './types.ts'

interface GroupedParts<T extends Grouped> extends Pick<EntityParts<T>, 'db' | 'journal' | 'policy' | 'hide'> {
  readonly type: GroupedType
  readonly stored: Pick<EntityParts<T, GroupedListing>, 'find' | 'list'> & {
    readonly deleteConnectionsOf: (trx: Trx, id: string) => Promise<void>
  }
}

/** What is done to clients and channels alike. A service takes these among its own methods. */
export function createGroupedRules<T extends Grouped>({ stored, hide, ...parts }: GroupedParts<T>) {
  const { find, list, deleteConnectionsOf } = stored
  const rules = createEntityRules<T, GroupedListing>({
    ...parts,
    find,
    list,
    ...(hide && { hide }),
    async release(trx, { id }) {
      await deleteConnectionsOf(trx, id)
      return {}
    },
  })
  return { ...rules, ...createParentRules<T>({ ...parts, find }) }
}
