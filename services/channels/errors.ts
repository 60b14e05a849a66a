import { Conflict } from '../../platform/errors.ts'

export class ChannelIdTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('id_taken', 'entity already exists: id', options)
  }
}

export class ChannelRouteTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('route_taken', 'route not available', options)
  }
}

export class AlreadyConnected extends Conflict {
  constructor() {
    super('already_connected', 'entity already exists: connection')
  }
}
