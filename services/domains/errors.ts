import { Conflict } from '../../platform/errors.ts'

export class RouteTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('route_taken', 'route not available', options)
  }
}

export class IdTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('id_taken', 'entity already exists: id', options)
  }
}
