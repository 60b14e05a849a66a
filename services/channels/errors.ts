import { Conflict } from '../../platform/errors.ts'

export class AlreadyConnected extends Conflict {
  constructor() {
    super('already_connected', 'entity already exists: connection')
  }
}
