import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface ReceivedMail {
  readonly from: string
  readonly to: readonly string[]
  readonly headers: string
  readonly text: string
}

export interface SmtpServer {
  readonly url: string
  readonly mails: readonly ReceivedMail[]
  stop(): Promise<void>
}

/** A mail server on loopback that takes every mail and keeps it (RFC 5321, as far as a client needs it). */
export async function startSmtpServer(): Promise<SmtpServer> {
  const mails: ReceivedMail[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    serve(socket, (mail) => mails.push(mail))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mails,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function serve(socket: Socket, onMail: (mail: ReceivedMail) => void): void {
  const say = (line: string) => socket.write(`${line}\r\n`)
  let buffer = ''
  let isData = false
  let from = ''
  let to: string[] = []
  const address = (line: string) => /<([^>]*)>/.exec(line)?.[1] ?? ''

  function command(line: string): void {
    const verb = line.slice(0, 4).toUpperCase()
    if (verb === 'EHLO' || verb === 'HELO') say('250 localhost')
    else if (verb === 'MAIL') {
      from = address(line)
      to = []
      say('250 ok')
    } else if (verb === 'RCPT') {
      to.push(address(line))
      say('250 ok')
    } else if (verb === 'DATA') {
      isData = true
      say('354 go on')
    } else if (verb === 'QUIT') {
      say('221 bye')
      socket.end()
    } else say('250 ok')
  }

  function take(data: string): void {
    const end = data.indexOf('\r\n\r\n')
    const headers = data.slice(0, end)
    const body = data.slice(end + 4).replace(/^\.\./gm, '.')
    const isQuoted = /^content-transfer-encoding: quoted-printable/im.test(headers)
    onMail({ from, to, headers, text: isQuoted ? unquote(body) : body })
    say('250 taken')
  }

  say('220 localhost')
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    buffer += chunk
    for (;;) {
      const mark = isData ? '\r\n.\r\n' : '\r\n'
      const end = buffer.indexOf(mark)
      if (end === -1) return
      const part = buffer.slice(0, end)
      buffer = buffer.slice(end + mark.length)
      if (isData) take(part)
      else command(part)
      if (isData && mark.length > 2) isData = false
    }
  })
}

/** Quoted-printable, RFC 2045 section 6.7. */
const unquote = (text: string) =>
  text
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
