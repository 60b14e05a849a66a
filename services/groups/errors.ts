import { InvalidInput } from '../../platform/errors.ts'

export const MAX_DEPTH = 20

export class TooDeep extends InvalidInput {
  constructor(options?: ErrorOptions) {
    super(`parent_id: the tree of groups has at most ${MAX_DEPTH} levels`, {
      ...options,
      code: 'group_too_deep',
    })
  }
}

/** A group would stand below itself. */
export class Cycle extends InvalidInput {
  constructor() {
    super('parent_id: a group cannot stand below itself', { code: 'group_cycle' })
  }
}
