import type { Socket } from 'node:net'
import { createServer } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import type { ClientTrust } from '../../platform/client-trust.ts'
import type { TlsIdentity } from '../../platform/tls.ts'
import type { MqttAdapter } from './adapter.ts'
import { clientIdsOf } from './certificate.ts'
import type { ConnectionInfo } from './peer.ts'

export interface TlsSettings {
  readonly identity: TlsIdentity
  /** Whether clients must show a certificate, may, or are not asked. */
  readonly clientAuth: 'required' | 'optional' | 'none'
  readonly handshakeTimeoutMs: number
}

export interface TlsEntrance {
  accept(socket: Socket): void
  /** For handshakes from now on; certificates that do not hold before it end their connections. */
  renew(identity: TlsIdentity): void
  /** Ends the handshakes under way. */
  stop(): void
}

/** Takes sockets that begin with a TLS handshake, and hands the adapter those that have come through it. */
export function createTlsEntrance(
  adapter: Pick<MqttAdapter, 'handle' | 'admit' | 'dismiss'>,
  { identity, clientAuth, handshakeTimeoutMs }: TlsSettings,
): TlsEntrance {
  const server = createServer({
    ...identity.context,
    handshakeTimeout: handshakeTimeoutMs,
    requestCert: clientAuth !== 'none',
    // Judged below: Node would end the connection without a word, also where none is needed.
    rejectUnauthorized: false,
  })
  let { trust } = identity
  /** Handshakes under way, by the address and port of the peer: Node does not tell which socket became which. */
  const underWay = new Map<string, { readonly socket: Socket; readonly info: ConnectionInfo }>()

  server.on('secureConnection', (secure: TLSSocket) => {
    secure.on('error', () => undefined)
    const peer = peerOf(secure)
    const info = underWay.get(peer)?.info
    // Gone in the meantime.
    if (!info) return void secure.destroy()
    underWay.delete(peer)
    const shown = clientAuth === 'none' ? {} : judge(secure, clientAuth === 'required', () => trust)
    if ('refusal' in shown) {
      adapter.dismiss(info, shown.refusal, shown.detail)
      return void secure.destroy()
    }
    adapter.handle(secure, { ...info, ...shown, isAdmitted: true })
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException, secure: TLSSocket) => {
    secure.on('error', () => undefined)
    const peer = peerOf(secure)
    const info = underWay.get(peer)?.info
    // Who connects and goes without a word looks whether the port is open: `close` below.
    if (info && error.code !== 'ECONNRESET') {
      underWay.delete(peer)
      adapter.dismiss(info, 'tls_handshake', error.code)
    }
    secure.destroy()
  })

  return {
    accept(socket) {
      socket.on('error', () => undefined)
      const info = { remoteAddress: socket.remoteAddress ?? '', transport: 'tls' } as const
      if (!adapter.admit(info)) return void socket.destroy()
      const peer = peerOf(socket)
      underWay.set(peer, { socket, info })
      socket.once('close', () => {
        if (underWay.get(peer)?.socket !== socket) return
        underWay.delete(peer)
        adapter.dismiss(info)
      })
      server.emit('connection', socket)
    },
    renew(fresh) {
      server.setSecureContext(fresh.context)
      trust = fresh.trust
    },
    stop() {
      for (const { socket } of underWay.values()) socket.destroy()
    },
  }
}

const peerOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`

type Shown =
  | Pick<ConnectionInfo, 'certifiedId' | 'findCertificateFlaw'>
  | { readonly refusal: string; readonly detail?: string }

/** What the certificate comes to that the client has shown, if any. */
function judge(secure: TLSSocket, isRequired: boolean, trust: () => ClientTrust): Shown {
  const certificate = secure.getPeerCertificate()
  // A resumed TLS 1.3 session counts as authorized even when it began without a certificate, so this is asked first.
  if (certificate?.raw === undefined) return isRequired ? { refusal: 'certificate_missing' } : {}
  if (!secure.authorized) return { refusal: 'certificate_refused', detail: String(secure.authorizationError) }
  const findCertificateFlaw = flawFinder(secure, Date.parse(certificate.valid_to), trust)
  // Of a resumed session it was checked when the session began.
  const flaw = findCertificateFlaw()
  if (flaw !== undefined) return { refusal: 'certificate_refused', detail: flaw }
  const ids = clientIdsOf(certificate)
  if (ids.length > 1) return { refusal: 'certificate_refused', detail: 'names several clients' }
  return ids[0] === undefined ? { findCertificateFlaw } : { findCertificateFlaw, certifiedId: ids[0] }
}

/** Dates are cheap to look at; the rest is asked again when there is somebody else to ask. */
function flawFinder(
  secure: TLSSocket,
  endsAtMs: number,
  trustNow: () => ClientTrust,
): () => string | undefined {
  let asked = trustNow()
  return () => {
    if (endsAtMs < Date.now()) return 'CERT_HAS_EXPIRED'
    if (asked === trustNow()) return undefined
    asked = trustNow()
    const certificate = secure.getPeerX509Certificate()
    return certificate && asked.findFlaw(certificate)
  }
}
