import { Conflict } from '../../platform/errors.ts'

export class UsernameTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('username_taken', 'username not available', options)
  }
}

export class EmailTaken extends Conflict {
  constructor(options?: ErrorOptions) {
    super('email_taken', 'email id already registered', options)
  }
}
