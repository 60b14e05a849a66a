import { Conflict } from '../../platform/errors.ts'

export class IdTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('id_taken', 'entity already exists: id', options)
  }
}

export class RouteTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('route_taken', 'route not available', options)
  }
}

export class StatusUnchanged extends Conflict {
  constructor() {
    super('status_unchanged', 'status already assigned')
  }
}

export class ParentSet extends Conflict {
  constructor() {
    super('parent_set', 'the parent group is set already; remove it first')
  }
}

/** Somebody else was faster. */
export class ParentChanged extends Conflict {
  constructor() {
    super('parent_changed', 'the parent group was changed by another request')
  }
}
