import { z } from 'zod'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { metadata, optional, text } from '../../platform/http/input.ts'
import { route, uuid } from '../../platform/identifiers.ts'
import { groupedEndpoints, groupedQuery } from '../entities/grouped-routes.ts'
import type { DomainNames } from '../entities/routes.ts'
import { groupedShape, newGrouped, presentGrouped, readNewGrouped } from '../entities/wire.ts'
import type { Channels } from './service.ts'
import type { Channel, NewChannel } from './types.ts'

const CreateChannel = z
  .object({ ...newGrouped, description: optional(text(1024)), route: optional(route) })
  .transform((body): NewChannel => ({
    ...readNewGrouped(body),
    description: body.description ?? '',
    route: body.route,
  }))

const UpdateChannel = z.object({
  name: optional(text(1024)),
  description: optional(text(1024)),
  metadata: optional(metadata),
})

const ListChannels = groupedQuery({ client: uuid.optional() })

const ChannelBody = z.object({
  ...groupedShape,
  description: z.string(),
  route: z.string().optional(),
  created_by: z.uuid(),
})

export function channelEndpoints(parts: { channels: Channels; domains: DomainNames }): Endpoint[] {
  return groupedEndpoints({
    type: 'channel',
    entities: parts.channels,
    domains: parts.domains,
    present,
    response: ChannelBody,
    create: { summary: 'Create a channel', body: CreateChannel, present },
    list: { query: ListChannels, connectedTo: (query) => query.client },
    update: {
      methods: ['put', 'patch'],
      summary: 'Change name, description or metadata; absent fields stay',
      body: UpdateChannel,
    },
  })
}

function present(channel: Channel) {
  return {
    ...presentGrouped('channel', channel),
    description: channel.description,
    route: channel.route ?? undefined,
    created_by: channel.createdBy,
  }
}
