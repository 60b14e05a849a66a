import type { PeerCertificate } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { clientIdsOf } from '../../../adapters/mqtt/certificate.ts'

const ONE = '11111111-1111-4111-8111-111111111111'
const TWO = '22222222-2222-4222-8222-222222222222'

/** As Node shows it. */
const certificate = (cn: unknown, subjectaltname?: string) =>
  ({ subject: { CN: cn }, subjectaltname }) as PeerCertificate

describe('the clients that a certificate names', () => {
  it.each([
    ['nobody, without names', certificate(undefined), []],
    ['its common name', certificate(ONE), [ONE]],
    ['both of two common names', certificate([ONE, TWO]), [ONE, TWO]],
    ['nobody, when the common name only holds an id', certificate(`sensor ${ONE}`), []],
    ['a URI, before the common name', certificate(TWO, `DNS:localhost, URI:urn:uuid:${ONE}`), [ONE]],
    ['one client, named in two forms', certificate(TWO, `URI:${ONE}, URI:URN:UUID:${ONE}`), [ONE]],
    ['both of two URIs', certificate(undefined, `URI:${ONE}, URI:urn:uuid:${TWO}`), [ONE, TWO]],
    ['its common name, where no URI is an id', certificate(ONE, 'URI:https://example.com/x'), [ONE]],
    ['nobody, in names of other kinds', certificate('x', `DNS:${ONE}, DirName:"CN = ${TWO}"`), []],
    ['nobody, inside a quoted name', certificate('x', `URI:"https://x\\", URI:urn:uuid:${ONE}, y"`), []],
  ] as const)('are %s', (_what, given, expected) => {
    expect(clientIdsOf(given)).toEqual(expected)
  })
})
