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

export class UserStatusAlready extends Conflict {
  constructor() {
    super('status_already_assigned', 'status already assigned')
  }
}

/** Without a superadmin nobody could make one. */
export class LastSuperadmin extends Conflict {
  constructor() {
    super('last_superadmin', 'there must remain an enabled superadmin')
  }
}

export class AlreadyVerified extends Conflict {
  constructor() {
    super('already_verified', 'e-mail address already verified')
  }
}
