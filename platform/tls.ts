import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { SecureContextOptions } from 'node:tls'
import { createClientTrust } from './client-trust.ts'
import type { ClientTrust } from './client-trust.ts'

/** Paths of files in PEM. */
export interface TlsFiles {
  /** The server's certificate, and behind it those between it and its root. */
  readonly cert: string
  readonly key: string
  /** Who may sign the certificates of clients; without it none is asked for. */
  readonly ca: string | undefined
  /** Which of them no longer hold. */
  readonly crl: string | undefined
}

/** What a server shows of itself, and whom it believes. */
export interface TlsIdentity {
  readonly context: SecureContextOptions
  readonly trust: ClientTrust
  readonly expiresAt: Date
}

const VARIABLE: Record<keyof TlsFiles, string> = {
  cert: 'SLUICE_TLS_CERT',
  key: 'SLUICE_TLS_KEY',
  ca: 'SLUICE_TLS_CA',
  crl: 'SLUICE_TLS_CRL',
}

/** A file that cannot be used. The message names its variable, the file, and what is wrong with it. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError'
  constructor(role: keyof TlsFiles, file: string, reason: string, options?: ErrorOptions) {
    super(`${VARIABLE[role]} ${file}: ${reason}`, options)
  }
}

/**
 * Reads the files, and tries whether they go together.
 *
 * @throws {TlsFileError}
 */
export function loadTls(files: TlsFiles): TlsIdentity {
  const cert = read(files, 'cert')
  const certificate = readCertificate(cert, 'cert', files.cert)
  const key = read(files, 'key')
  if (!certificate.checkPrivateKey(readKey(key, files.key))) {
    throw new TlsFileError('key', files.key, `is not the key of the certificate in ${files.cert}`)
  }
  const ca = files.ca === undefined ? undefined : read(files, 'ca')
  const authorities = (ca === undefined ? [] : blocksOf(ca, 'CERTIFICATE', 'ca', files.ca)).map((block) =>
    readCertificate(block, 'ca', files.ca),
  )
  const crl = files.crl === undefined ? undefined : blocksOf(read(files, 'crl'), 'X509 CRL', 'crl', files.crl)
  const context: SecureContextOptions = {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    ...(crl === undefined ? {} : { crl }),
    minVersion: 'TLSv1.2',
    // Asked for by a stranger again and again, it is work for us alone. TLS 1.3 does not know it any more.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  }
  if (crl !== undefined) tryOut(context, 'crl', files.crl ?? '')
  tryOut({ ...context, crl: undefined }, 'cert', files.cert)
  const trust = createClientTrust(authorities, (crl ?? []).map(derOf))
  return { context, trust, expiresAt: new Date(certificate.validTo) }
}

function read(files: TlsFiles, role: keyof TlsFiles): string {
  const file = files[role] ?? ''
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new TlsFileError(role, file, `cannot be read (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    })
  }
}

function readCertificate(pem: string, role: 'cert' | 'ca', file = ''): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new TlsFileError(role, file, 'holds no certificate in PEM', { cause: error })
  }
}

function readKey(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    // Without the library's words: they are about passphrases even where there is nothing like a key.
    throw new TlsFileError('key', file, 'holds no private key in PEM without a passphrase', { cause: error })
  }
}

/** Each by itself: OpenSSL reads but the first CRL of a text, and passes over broken certificates behind a good one. */
function blocksOf(text: string, kind: string, role: keyof TlsFiles, file = ''): string[] {
  const blocks = text.match(new RegExp(`-----BEGIN ${kind}-----[^]*?-----END ${kind}-----`, 'g'))
  if (!blocks) throw new TlsFileError(role, file, `holds no ${kind} in PEM`)
  return blocks
}

const derOf = (pem: string): Buffer => Buffer.from(pem.replace(/-----.*?-----/g, ''), 'base64')

function tryOut(context: SecureContextOptions, role: keyof TlsFiles, file: string): void {
  try {
    createSecureContext(context)
  } catch (error) {
    throw new TlsFileError(role, file, `is refused (${(error as Error).message})`, { cause: error })
  }
}
