import { Router } from '@koa/router'
import { z } from 'zod'
import { InvalidInput } from '../../platform/errors.ts'
import { optional, parse, readJson, uuid } from '../../platform/http/input.ts'
import type { RequestState } from '../auth/types.ts'
import type { Domains } from '../domains/service.ts'
import type { Channels } from './service.ts'
import type { Connections, ConnectionType } from './types.ts'

const MAX_IDS = 1_000

/** Words for the types of connection, those of older servers among them (contract 7). */
const TYPES: Readonly<Record<string, ConnectionType>> = {
  publish: 'publish',
  subscribe: 'subscribe',
  m_write: 'publish',
  m_read: 'subscribe',
}

const type = z.string().transform((word, ctx): ConnectionType => {
  const known = TYPES[word.toLowerCase()]
  if (known) return known
  ctx.addIssue({ code: 'custom', message: 'must be publish or subscribe' })
  return z.NEVER
})

const ids = optional(z.array(uuid).max(MAX_IDS))

const ConnectBody = z
  .object({
    channel_ids: ids,
    client_ids: ids,
    subjects: ids,
    objects: ids,
    types: optional(z.array(type)),
    actions: optional(z.array(type)),
  })
  .transform((body) => {
    const types = [...new Set(body.types ?? body.actions ?? [])]
    return {
      channelIds: [...new Set(body.channel_ids)],
      clientIds: [...new Set(body.client_ids)],
      unsorted: [...new Set([...(body.subjects ?? []), ...(body.objects ?? [])])],
      // Absent or empty means both (contract D7).
      types: types.length === 0 ? (['publish', 'subscribe'] as const) : types,
    }
  })

const ChannelId = z.object({ channel: uuid })

type Body = z.output<typeof ConnectBody>
type Wiring = 'connect' | 'disconnect'

/** Connecting and disconnecting in all the forms that clients know (contract 7, D5, D6). */
export function connectionRoutes(parts: { channels: Channels; domains: Domains }): Router<RequestState> {
  const { channels, domains } = parts
  const router = new Router<RequestState>()
  const success: Record<Wiring, number> = { connect: 201, disconnect: 204 }

  for (const wiring of ['connect', 'disconnect'] as const) {
    for (const path of [`/:domain/channels/${wiring}`, `/:domain/${wiring}`]) {
      router.post(path, async (ctx) => {
        const principal = await ctx.state.principal()
        const domainId = await domains.resolveId(ctx.params.domain ?? '')
        const body = await readJson(ctx, ConnectBody)
        const sorted =
          body.unsorted.length > 0 ? await channels.identify(principal, body.unsorted) : { ...body, domainId }
        if (sorted.domainId !== domainId) throw new InvalidInput('the ids are of another domain')
        await channels[wiring](principal, domainId, complete(body, sorted))
        ctx.body = null
        ctx.status = success[wiring]
      })
    }

    router.post(`/:domain/channels/:channel/${wiring}`, async (ctx) => {
      const principal = await ctx.state.principal()
      const domainId = await domains.resolveId(ctx.params.domain ?? '')
      const { channel } = parse(ChannelId, ctx.params)
      const body = await readJson(ctx, ConnectBody)
      await channels[wiring](principal, domainId, complete(body, { ...body, channelIds: [channel] }))
      ctx.body = null
      ctx.status = success[wiring]
    })

    router.post(`/${wiring}`, async (ctx) => {
      const principal = await ctx.state.principal()
      const body = await readJson(ctx, ConnectBody)
      const all = [...body.unsorted, ...body.channelIds, ...body.clientIds]
      const sorted = await channels.identify(principal, all)
      await channels[wiring](principal, sorted.domainId, complete(body, sorted))
      ctx.body = null
      ctx.status = success[wiring]
    })
  }

  return router
}

function complete(body: Body, sorted: Pick<Connections, 'channelIds' | 'clientIds'>): Connections {
  if (sorted.channelIds.length === 0) throw new InvalidInput('channel_ids: empty list provided')
  if (sorted.clientIds.length === 0) throw new InvalidInput('client_ids: empty list provided')
  return { channelIds: sorted.channelIds, clientIds: sorted.clientIds, types: body.types }
}
