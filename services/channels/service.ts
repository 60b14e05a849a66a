import type { Db, Trx } from '../../platform/db/connect.ts'
import { transact } from '../../platform/db/transact.ts'
import { Forbidden, InvalidInput } from '../../platform/errors.ts'
import { OutsideDomain } from '../auth/errors.ts'
import type { Policy } from '../auth/service.ts'
import type { Principal } from '../auth/types.ts'
import { createGrouped } from '../entities/creation.ts'
import { createGroupedRules } from '../entities/grouped.ts'
import type { Journal } from '../journal/service.ts'
import { AlreadyConnected } from './errors.ts'
import * as wiring from './connections.ts'
import * as repository from './repository.ts'
import type { Channel, ChannelChange, Connections, ConnectionType, NewChannel } from './types.ts'

export type Channels = ReturnType<typeof createChannels>

export function createChannels({ db, journal, policy }: { db: Db; journal: Journal; policy: Policy }) {
  const common = { type: 'channel', db, journal, policy } as const
  const rules = createGroupedRules({ ...common, stored: repository.stored })

  async function requireWiring(
    principal: Principal,
    wiring: 'connect' | 'disconnect',
    domainId: string,
    { channelIds, clientIds }: Connections,
  ) {
    const channels = await policy.requireOnEach(principal, `channel.${wiring}`, channelIds, domainId)
    const clients = await policy.requireOnEach(principal, `client.${wiring}`, clientIds, domainId)
    return [...channels, ...clients]
  }

  async function recordWiring(
    trx: Trx,
    principal: Principal,
    operation: 'channel.connect' | 'channel.disconnect',
    domainId: string,
    connections: Connections,
  ): Promise<void> {
    const { channelIds, clientIds, types } = connections
    await journal.record(
      trx,
      ...channelIds.map((channelId) => ({
        operation,
        domainId,
        entityType: 'channel' as const,
        entityId: channelId,
        actorId: principal.userId,
        attributes: { channel_ids: [channelId], client_ids: clientIds, types },
      })),
    )
  }

  return {
    ...rules,

    /**
     * Creates channels in a domain, all or none, and makes the caller admin of each.
     *
     * @returns in the order given
     * @throws {Forbidden} @throws {NotFound} no such parent group in the domain
     * @throws {IdTaken} @throws {RouteTaken}
     */
    async create(principal: Principal, domainId: string, inputs: readonly NewChannel[]): Promise<Channel[]> {
      return createGrouped(
        { ...common, insert: repository.insertChannels, describe },
        principal,
        domainId,
        inputs,
      )
    },

    /** @throws {Forbidden} @throws {NotFound} */
    async update(
      principal: Principal,
      domainId: string,
      id: string,
      { name, description, metadata }: ChannelChange,
    ): Promise<Channel> {
      return rules.change(principal, domainId, id, { name, description, metadata })
    },

    /**
     * Connects every client with every channel.
     *
     * @throws {Forbidden} @throws {NotFound} one bad id fails all, and so does one that is disabled
     * @throws {AlreadyConnected} nothing new came of it
     */
    async connect(principal: Principal, domainId: string, connections: Connections): Promise<void> {
      const entities = await requireWiring(principal, 'connect', domainId, connections)
      const disabled = entities.find((entity) => entity.entityStatus !== 'enabled')
      if (disabled) throw new Forbidden(`${disabled.entityId} is disabled`)
      await transact(db, async (trx) => {
        if ((await wiring.insertConnections(trx, connections)) === 0) throw new AlreadyConnected()
        await recordWiring(trx, principal, 'channel.connect', domainId, connections)
      })
    },

    /**
     * Takes the connections away; those that are not there are no error. Acts on live connections within a second.
     *
     * @throws {Forbidden} @throws {NotFound} one bad id fails all
     */
    async disconnect(principal: Principal, domainId: string, connections: Connections): Promise<void> {
      await requireWiring(principal, 'disconnect', domainId, connections)
      await transact(db, async (trx) => {
        await wiring.deleteConnections(trx, connections)
        await recordWiring(trx, principal, 'channel.disconnect', domainId, connections)
      })
    },

    /**
     * Sorts ids that came without saying what they are into clients and channels, and finds the one domain of them all
     * (contract D5, D6). Permission is not asked here: the answer goes into {@link connect} or {@link disconnect}, which do.
     *
     * @throws {InvalidInput} more than one domain
     * @throws {Forbidden} an id of nothing, or of a domain that is not the caller's: the same answer for both
     */
    async identify(principal: Principal, ids: readonly string[]) {
      const found = await wiring.sortIds(db, ids)
      const domainIds = [...new Set(found.map((entity) => entity.domainId))]
      for (const domainId of domainIds) await policy.requireEntry(principal, domainId)
      const known = new Set(found.map((entity) => entity.id))
      const [domainId] = domainIds
      if (domainId === undefined || ids.some((id) => !known.has(id))) {
        throw new OutsideDomain()
      }
      if (domainIds.length > 1) throw new InvalidInput('all ids must be of one domain')
      const of = (type: 'client' | 'channel') => found.filter((e) => e.type === type).map((e) => e.id)
      return { domainId, clientIds: of('client'), channelIds: of('channel') }
    },

    /** A channel by what a topic calls it; for adapters, which authorize next. */
    async findAddress(reference: { domain?: string | undefined; channel: string }) {
      return repository.findAddress(db, reference)
    },

    /** Whether a client may publish to or subscribe on a channel now; user roles play no part (contract A.3). */
    async clientMay(clientId: string, channelId: string, type: ConnectionType): Promise<boolean> {
      return wiring.isConnected(db, clientId, channelId, type)
    },

    /** Whether a user may publish to or read a channel with a user token; needs the channel and its domain enabled. */
    async userMay(principal: Principal, channelId: string, type: ConnectionType): Promise<boolean> {
      if (!(await policy.allows(principal, `channel.${type}`, channelId))) return false
      return wiring.carriesMessages(db, channelId)
    },
  }
}

const describe = ({ name, route, status }: Channel) => ({ name, route, status })
