import type { Credentials } from '../authority.ts'
import type { AedesUser } from './aedes-broker.ts'
import type { ReasonCode } from './codes.ts'
import type { Receiver } from './outbox.ts'
import type { Session } from './sessions.ts'

export type Transport = 'tcp' | 'tls' | 'ws'

export interface ConnectionInfo {
  readonly remoteAddress: string
  readonly transport: Transport
  /** Counted in already, by {@link MqttAdapter.admit}. */
  readonly isAdmitted?: true
  /** The client that a certificate names, checked in the TLS handshake. */
  readonly certifiedId?: string
  /** What is wrong by now with the certificate that was shown in the handshake, if one was. */
  readonly findCertificateFlaw?: () => string | undefined
  /** The client has shown who it is: limits for strangers are over. */
  readonly onAuthenticated?: () => void
}

/** A connection as everything around it sees it. */
export interface Peer extends Receiver, AedesUser {
  readonly info: ConnectionInfo
  readonly isClosed: boolean
  /** Resolves when nothing of the connection is left, its session detached, its will on its way. */
  readonly closed: Promise<void>
  /** For log lines. */
  readonly facts: { address: string; clientId: string | undefined }
  readonly session: Session | undefined
  /** Set as soon as the connection claims a session. */
  sessionKey: string | undefined
  /** Whether CONNACK says that there was a session. */
  isSessionPresent: boolean
  /** Kept to ask, after a change, whether they still hold. */
  credentials: Credentials | undefined
  /** Whether acknowledgements may say in words what went wrong [MQTT-3.1.2-29]. */
  readonly wantsReasons: boolean
  /** Given to a client that came without an identifier; MQTT 5 tells it. */
  assignedIdentifier: string | undefined
  /**
   * Ends the connection. Its will is published, unless the client said DISCONNECT.
   *
   * @param reason told to MQTT 5 clients in a DISCONNECT, or to any that wait for it in CONNACK
   * @param text   the same in words, for MQTT 5
   */
  close(reason?: ReasonCode, text?: string): void
  /** Sends an acknowledgement; one that is larger than the client takes ends the connection. */
  answer(bytes: Buffer): void
  /** Resolves when the publications under way are answered. */
  settled(): Promise<void>
  /** What it may publish was changed: to be asked for again. */
  forgetGrants(): void
}
