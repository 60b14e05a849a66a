import type { Job, Outcome } from '../job.ts'
import { meter } from './meter.ts'
import { PAYLOAD } from './payload.ts'
import { inParallel, open } from './socket.ts'

const CONNECTIONS = 32
const HEAD_END = Buffer.from('\r\n\r\n')
const ACCEPTED = Buffer.from('HTTP/1.1 202')

/** One request at a time on each of 32 connections that are kept. */
export async function publishOverHttp(job: Job): Promise<Outcome> {
  const { topic, publisher, httpPort = 0 } = job.target
  const request = Buffer.concat([
    Buffer.from(
      `POST /${topic}/0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Client ${publisher.password}\r\n` +
        `Content-Type: application/senml+json\r\nContent-Length: ${PAYLOAD.length}\r\n\r\n`,
    ),
    PAYLOAD,
  ])
  const count = { messages: 0, lost: 0 }
  const clients = await inParallel(CONNECTIONS, CONNECTIONS, async () => {
    const client = await open(httpPort, (bytes) => {
      // Answers have no body.
      if (!bytes.subarray(-HEAD_END.length).equals(HEAD_END)) return 0
      if (!bytes.subarray(0, ACCEPTED.length).equals(ACCEPTED)) throw new Error(bytes.toString('latin1'))
      count.messages += 1
      client.write(request)
      return bytes.length
    })
    client.write(request)
    return client
  })
  const outcome = await meter(job, count)
  for (const client of clients) client.end()
  return outcome
}
