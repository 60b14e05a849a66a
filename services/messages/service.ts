import type { Db } from '../../platform/db/connect.ts'
import { createChannelAccess } from './access.ts'
import type { AccessParts, ChannelReference, Reader } from './access.ts'
import type { MessageFilter } from './query.ts'
import * as repository from './repository.ts'

export type Messages = ReturnType<typeof createMessages>

export interface MessagesParts extends AccessParts {
  readonly db: Db
}

export function createMessages({ db, ...parts }: MessagesParts) {
  const access = createChannelAccess(parts)
  return {
    access,

    /**
     * Stored messages of a channel.
     *
     * @throws {Unauthenticated} a secret that no client has there
     * @throws {Forbidden} no permission or connection to subscribe
     * @throws {NotFound} no such channel, told to those who may know
     */
    async list(reader: Reader, reference: ChannelReference, filter: MessageFilter) {
      const { channelId } = await access.admit(reader, reference)
      if (filter.format !== 'messages') {
        return { kind: 'json' as const, page: await repository.listJsonMessages(db, channelId, filter) }
      }
      if (filter.aggregation !== undefined) {
        return { kind: 'buckets' as const, page: await repository.listBuckets(db, channelId, filter) }
      }
      return { kind: 'readings' as const, page: await repository.listReadings(db, channelId, filter) }
    },
  }
}
