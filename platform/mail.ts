import { createTransport } from 'nodemailer'
import type { Logger } from './log.ts'

export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface Mailer {
  /** Resolves when the mail server has taken the mail; slow, so nobody's request waits for it. */
  send(mail: Mail): Promise<void>
  stop(): void
}

export interface MailOptions {
  readonly url: string | undefined
  readonly from: string
  readonly log: Logger
}

/** Mail through SMTP. Without a server mails are written to the log, for those who try things out (level debug). */
export function createMailer({ url, from, log }: MailOptions): Mailer {
  if (url === undefined) {
    return {
      send(mail) {
        log.debug({ mail: { from, ...mail } }, 'mail not sent, because SLUICE_SMTP_URL is not set')
        return Promise.resolve()
      },
      stop: () => undefined,
    }
  }
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: 2,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 30_000,
  })
  return {
    async send(mail) {
      await transport.sendMail({ from, ...mail, disableFileAccess: true, disableUrlAccess: true })
    },
    stop: () => transport.close(),
  }
}
