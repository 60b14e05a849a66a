import { z } from 'zod'
import { Envelope } from '../../adapters/http/envelope.ts'
import type { Described } from './openapi.ts'

const Senml = z
  .array(z.record(z.string(), z.unknown()))
  .describe('SenML (RFC 8428) or whatever else; the bytes are passed on as they are')
const publish = { method: 'post', access: 'device' } as const
const withSubtopic = (path: string) => [path, `${path}/*subtopic`]

/** Publishing over HTTP (contract 11). The adapter reads these paths by the grammar of topics, not by a router. */
export const PUBLISH_DOCS: readonly Described[] = [
  {
    ...publish,
    path: [...withSubtopic('/m/:domain/c/:channel'), ...withSubtopic('/http/m/:domain/c/:channel')],
    summary: 'Publish the body on a channel',
    body: Senml,
    status: 202,
  },
  {
    ...publish,
    path: [
      ...withSubtopic('/channels/:channel/messages'),
      ...withSubtopic('/http/channels/:channel/messages'),
    ],
    summary: 'Publish the body on a channel, the older form',
    body: Senml,
    status: 202,
  },
  {
    ...publish,
    path: ['/publish', '/http/publish'],
    summary: 'Publish with topic and payload in the body',
    body: Envelope,
    status: 200,
  },
  {
    ...publish,
    path: ['/hc/:domain', '/http/hc/:domain'],
    summary: "Whether a client's credentials are good in the domain",
    status: 200,
  },
]
