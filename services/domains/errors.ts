import { Conflict } from '../../platform/errors.ts'

export class AlreadyMember extends Conflict {
  constructor() {
    super('already_member', 'entity already exists: the user is a member of the domain')
  }
}

/** There is an invitation already, and sending it again is not in order or was not asked for. */
export class AlreadyInvited extends Conflict {
  constructor(state: 'pending' | 'accepted' | 'rejected') {
    const hint = state === 'pending' ? '' : '; resend it to invite again'
    super('already_invited', `entity already exists: an invitation, ${state}${hint}`)
  }
}

export class AlreadyAnswered extends Conflict {
  constructor(answer: 'accepted' | 'rejected') {
    super('invitation_answered', `invitation already ${answer}`)
  }
}
