import { randomUUID } from 'node:crypto'
import type { Action, AuthorityBackend, Credentials, Principal } from '../../adapters/authority.ts'
import type { Bus } from '../../platform/bus/connect.ts'
import { eventSubject } from '../../platform/bus/events.ts'
import type { BusEvent } from '../../platform/bus/events.ts'

export interface Client {
  readonly id: string
  readonly domainId: string
  secret: string
  isEnabled: boolean
}

export interface Channel {
  readonly id: string
  readonly domainId: string
  readonly domainRoute: string
  readonly route: string
}

/** The management side as adapters see it, kept in tables in memory, with a count of the questions asked. */
export class AuthorityTables implements AuthorityBackend {
  readonly domainId = randomUUID()
  readonly domainRoute = `d-${this.domainId.slice(0, 8)}`
  readonly channels: Channel[] = []
  readonly clients: Client[] = []
  readonly tokens = new Map<string, string>()
  /** When each token ends, where that is known. */
  readonly tokenEnds = new Map<string, number>()
  readonly permissions = new Set<string>()
  asked = 0
  /** Awaited by each question before it answers; throw in it to be away. */
  gate: () => Promise<void> = () => Promise.resolve()

  addChannel(given: Partial<Channel> = {}): Channel {
    const channel = {
      id: randomUUID(),
      domainId: this.domainId,
      domainRoute: this.domainRoute,
      route: `c-${this.channels.length}`,
      ...given,
    }
    this.channels.push(channel)
    return channel
  }

  addClient(given: Partial<Client> = {}): Client {
    const client = {
      id: randomUUID(),
      domainId: this.domainId,
      secret: randomUUID(),
      isEnabled: true,
      ...given,
    }
    this.clients.push(client)
    return client
  }

  allow(who: { id: string }, channel: Channel, ...actions: Action[]): void {
    for (const action of actions) this.permissions.add(`${who.id} ${channel.id} ${action}`)
  }

  forbid(who: { id: string }, channel: Channel): void {
    for (const action of ['publish', 'subscribe'])
      this.permissions.delete(`${who.id} ${channel.id} ${action}`)
  }

  async findChannel({ domain, channel: name }: { domain?: string | undefined; channel: string }) {
    await this.#ask()
    const found = this.channels.find(
      (channel) =>
        (channel.id === name.toLowerCase() || (domain !== undefined && channel.route === name)) &&
        (domain === undefined || channel.domainId === domain || channel.domainRoute === domain),
    )
    return found ? { domainId: found.domainId, channelId: found.id } : null
  }

  async authenticate(credentials: Credentials): Promise<Principal | null> {
    await this.#ask()
    if (credentials.kind === 'token') {
      const id = this.tokens.get(credentials.token)
      if (id === undefined) return null
      return { kind: 'user', id, expiresAtMs: this.tokenEnds.get(credentials.token) }
    }
    const client = this.clients.find(
      (each) =>
        each.isEnabled &&
        (credentials.kind === 'certificate' || each.secret === credentials.secret) &&
        (credentials.kind === 'client' || credentials.kind === 'certificate'
          ? each.id === credentials.clientId
          : each.domainId === credentials.domainId || this.domainRoute === credentials.domainId),
    )
    return client ? { kind: 'client', id: client.id, domainId: client.domainId } : null
  }

  async authorize({
    principal,
    channelId,
    action,
  }: {
    principal: Principal
    channelId: string
    action: Action
  }): Promise<boolean> {
    await this.#ask()
    return this.permissions.has(`${principal.id} ${channelId} ${action}`)
  }

  async #ask(): Promise<void> {
    this.asked += 1
    await this.gate()
  }
}

/** Announces what the management services would, and waits until the server has passed it on. */
export async function announce(
  bus: Bus,
  event: Pick<BusEvent, 'operation'> & Partial<BusEvent>,
): Promise<void> {
  const whole: BusEvent = {
    id: randomUUID(),
    domain_id: null,
    entity_type: event.operation.split('.', 1)[0] ?? '',
    entity_id: '',
    actor_id: null,
    occurred_at: new Date().toISOString(),
    attributes: {},
    ...event,
  }
  bus.connection.publish(eventSubject(whole), JSON.stringify(whole))
  await bus.flush()
}
