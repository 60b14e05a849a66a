import type { Mail } from '../../platform/mail.ts'
import type { User } from './types.ts'

export function recoveryMail(user: User, token: string, link: string): Mail {
  return {
    to: user.email,
    subject: 'Set a new password',
    text: [
      `Hello ${oneLine(user.firstName)},`,
      '',
      `somebody asked to set a new password for your account ${user.username}. Within 5 minutes this link does it:`,
      '',
      link,
      '',
      'The same as a token, for programs:',
      '',
      token,
      '',
      'If it was not you, there is nothing to do: your password stays as it is.',
      '',
    ].join('\n'),
  }
}

export function verificationMail(user: User, link: string): Mail {
  return {
    to: user.email,
    subject: 'Verify your e-mail address',
    text: [
      `Hello ${oneLine(user.firstName)},`,
      '',
      `within 24 hours this link verifies that this is the e-mail address of your account ${user.username}:`,
      '',
      link,
      '',
      'If you have no such account, there is nothing to do.',
      '',
    ].join('\n'),
  }
}

/** Names are free text: a stranger who signs up with somebody else's address must not write him a letter through us. */
const oneLine = (name: string) =>
  name
    .replace(/\s+/g, ' ')
    .replace(/[:/.@]/g, '')
    .slice(0, 64)
