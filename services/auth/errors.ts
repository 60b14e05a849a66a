import { Conflict } from '../../platform/errors.ts'

export class ScopeTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('scope_taken', 'scope already exists', options)
  }
}
