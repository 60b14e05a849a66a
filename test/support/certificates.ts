import { generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/** Certificates for tests, written by hand: not every machine has a program that makes them. */

export interface Issued {
  /** In PEM. */
  readonly cert: string
  readonly key: string
  readonly serial: number
}

export interface Wishes {
  readonly cn?: string | readonly string[]
  readonly uris?: readonly string[]
  /** Days from now; a negative number has expired. */
  readonly days?: number
}

export interface CertificateAuthority {
  /** In PEM. */
  readonly cert: string
  issue(wishes?: Wishes): Issued
  /** An authority that this one vouches for. */
  appoint(name: string): CertificateAuthority
  /** A list of revoked certificates, in PEM. */
  revoke(...serials: number[]): string
}

const DAY_MS = 86_400_000

export function createCertificateAuthority(name = 'Test authority'): CertificateAuthority {
  const { privateKey, publicKey } = newKeys()
  const issuer = nameOf([name])
  return createAuthority(
    privateKey,
    issuer,
    certify(privateKey, issuer, issuer, publicKey, 1, 10, [MAY_SIGN]),
  )
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

function createAuthority(privateKey: KeyObject, issuer: Buffer, cert: string): CertificateAuthority {
  let serial = 1

  return {
    cert,
    issue({ cn = 'localhost', uris = [], days = 2 } = {}) {
      serial += 1
      const pair = newKeys()
      const names = [
        tlv(0x82, Buffer.from('localhost')),
        tlv(0x87, Buffer.from([127, 0, 0, 1])),
        ...uris.map((uri) => tlv(0x86, Buffer.from(uri))),
      ]
      const extensions = [extension(ALTERNATIVE_NAMES, sequence(...names))]
      return {
        cert: certify(privateKey, issuer, nameOf([cn].flat()), pair.publicKey, serial, days, extensions),
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
        serial,
      }
    },
    appoint(name) {
      serial += 1
      const pair = newKeys()
      const subject = nameOf([name])
      const itsCert = certify(privateKey, issuer, subject, pair.publicKey, serial, 10, [MAY_SIGN])
      return createAuthority(pair.privateKey, subject, itsCert)
    },
    revoke: (...serials) =>
      signed(privateKey, 'X509 CRL', [
        integer(1),
        ECDSA_WITH_SHA256,
        issuer,
        time(-1),
        time(1),
        ...(serials.length === 0
          ? []
          : [sequence(...serials.map((each) => sequence(integer(each), time(-1))))]),
      ]),
  }
}

function certify(
  signer: KeyObject,
  issuer: Buffer,
  subject: Buffer,
  key: KeyObject,
  serial: number,
  days: number,
  extensions: readonly Buffer[],
): string {
  return signed(signer, 'CERTIFICATE', [
    tlv(0xa0, integer(2)),
    integer(serial),
    ECDSA_WITH_SHA256,
    issuer,
    sequence(time(Math.min(-1, days - 1)), time(days)),
    subject,
    key.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  ])
}

// DER (ITU-T X.690), as much of it as certificates need (RFC 5280).
const ECDSA_WITH_SHA256 = sequence(Buffer.from('06082a8648ce3d040302', 'hex'))
const COMMON_NAME = Buffer.from('0603550403', 'hex')
const IS_CA = Buffer.from('0603551d13', 'hex')
const ALTERNATIVE_NAMES = Buffer.from('0603551d11', 'hex')
const TRUE = Buffer.from('0101ff', 'hex')
const MAY_SIGN = extension(IS_CA, sequence(TRUE))

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts)
  const { length } = value
  const head = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), value])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, ...parts)
}

/** @param value below 2^15 */
function integer(value: number): Buffer {
  return tlv(0x02, Buffer.from(value < 0x80 ? [value] : [value >> 8, value & 0xff]))
}

function time(days: number): Buffer {
  const text = new Date(Date.now() + days * DAY_MS).toISOString().replace(/[-:T]|\.\d+/g, '')
  return tlv(0x18, Buffer.from(text))
}

function nameOf(commonNames: readonly string[]): Buffer {
  return sequence(
    ...commonNames.map((each) => tlv(0x31, sequence(COMMON_NAME, tlv(0x0c, Buffer.from(each))))),
  )
}

function extension(id: Buffer, value: Buffer): Buffer {
  return sequence(id, tlv(0x04, value))
}

function signed(key: KeyObject, kind: string, fields: readonly Buffer[]): string {
  const body = sequence(...fields)
  const signature = tlv(0x03, Buffer.from([0]), sign('sha256', body, key))
  const der = sequence(body, ECDSA_WITH_SHA256, signature)
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${kind}-----`, ...lines, `-----END ${kind}-----`, ''].join('\n')
}
