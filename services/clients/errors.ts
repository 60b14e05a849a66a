import { Conflict } from '../../platform/errors.ts'

export class SecretTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('secret_taken', 'entity already exists: a client of the domain has this secret', options)
  }
}
