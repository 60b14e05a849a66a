import type { X509Certificate } from 'node:crypto'

/** Whom the server believes about its clients, asked about certificates that it has believed before. */
export interface ClientTrust {
  /** What is wrong by now with a certificate whose handshake is long over, in OpenSSL's words. Dates are not looked at. */
  findFlaw(certificate: X509Certificate): string | undefined
}

/** Longer ways to an authority are none. */
const MAX_DEPTH = 10

/**
 * OpenSSL judges certificates in handshakes alone, so this goes the same way again: up to an authority that is its own, past
 * nobody who is revoked. A session that was resumed has brought no certificates in between; where they are needed, and not
 * among the authorities, it is taken for one that nobody vouches for, and its client makes a new one.
 *
 * @param crls lists of revoked certificates in DER, which OpenSSL has read already
 */
export function createClientTrust(
  authorities: readonly X509Certificate[],
  crls: readonly Buffer[],
): ClientTrust {
  const revoked = new Set(crls.flatMap(revokedIn))

  function issuerOf(certificate: X509Certificate): X509Certificate | undefined {
    const { issuerCertificate: brought } = certificate
    return [...authorities, ...(brought ? [brought] : [])].find(
      (issuer) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey),
    )
  }

  return {
    findFlaw(certificate) {
      let at: X509Certificate | undefined = certificate
      for (let depth = 0; at && depth < MAX_DEPTH; depth += 1) {
        if (revoked.has(nameOf(at))) return 'CERT_REVOKED'
        const { fingerprint256 } = at
        const isAuthority = authorities.some((each) => each.fingerprint256 === fingerprint256)
        if (isAuthority && at.checkIssued(at)) return undefined
        at = issuerOf(at)
      }
      return 'UNABLE_TO_GET_ISSUER_CERT'
    },
  }
}

// Node reads no CRL, so here is as much of DER (ITU-T X.690) as CRLs and the names of certificates need (RFC 5280).

const INTEGER = 0x02
const SEQUENCE = 0x30

interface Element {
  readonly tag: number
  readonly whole: Buffer
  readonly content: Buffer
}

function elementsOf(der: Buffer): Element[] {
  const elements: Element[] = []
  for (let at = 0; at < der.length;) {
    let start = at + 2
    let length = der[at + 1] ?? 0
    if (length >= 0x80) {
      const count = length & 0x7f
      length = der.readUIntBE(start, count)
      start += count
    }
    const end = start + length
    elements.push({ tag: der[at] ?? 0, whole: der.subarray(at, end), content: der.subarray(start, end) })
    at = end
  }
  return elements
}

/** What is signed: the first element in the first. */
const bodyOf = (der: Buffer): Element[] =>
  elementsOf(elementsOf(elementsOf(der)[0]?.content ?? der)[0]?.content ?? der)

const sequencesOf = (body: readonly Element[]): Element[] => body.filter(({ tag }) => tag === SEQUENCE)
const integerOf = (body: readonly Element[]): Element | undefined => body.find(({ tag }) => tag === INTEGER)

/** What a certificate is known by: who issued it, and under which number. */
const nameIn = (issuer: Element | undefined, serial: Element | undefined): string =>
  `${issuer?.whole.toString('base64')} ${serial?.content.toString('hex')}`

/** In both, the algorithm is the first sequence and the issuer the second. */
function nameOf({ raw }: X509Certificate): string {
  const body = bodyOf(raw)
  return nameIn(sequencesOf(body)[1], integerOf(body))
}

function revokedIn(crl: Buffer): string[] {
  const [, issuer, revoked] = sequencesOf(bodyOf(crl))
  return elementsOf(revoked?.content ?? Buffer.alloc(0)).map(({ content }) =>
    nameIn(issuer, integerOf(elementsOf(content))),
  )
}
