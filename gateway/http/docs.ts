import { z } from 'zod'
import { Reply, endpoint } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { VERSION } from '../version.ts'
import { renderDocs } from './docs-page.ts'
import { describeApi } from './openapi.ts'
import type { OpenApiDocument } from './openapi.ts'
import { PUBLISH_DOCS } from './publish-docs.ts'

/** One page of HTML and CSS, and nothing else, from nowhere else. */
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

/**
 * The endpoints, and those that document them all.
 *
 * @param isPublishing whether this process takes messages over HTTP
 */
export function withDocs(endpoints: readonly Endpoint[], isPublishing: boolean): Endpoint[] {
  let document: OpenApiDocument | undefined
  let page: string | undefined
  const open = { method: 'get', status: 200 } as const

  // Written when first asked for: most processes never are.
  const documentOf = () =>
    (document ??= describeApi([...all, ...(isPublishing ? PUBLISH_DOCS : [])], VERSION))

  const all: Endpoint[] = [
    ...endpoints,
    endpoint({
      ...open,
      access: 'anyone',
      path: '/openapi.json',
      summary: 'This document: the API in OpenAPI 3.1',
      response: z.record(z.string(), z.unknown()),
      handle: () => Promise.resolve(documentOf()),
    }),
    endpoint({
      ...open,
      access: 'anyone',
      path: '/docs',
      summary: 'The API for people to read',
      handle({ ctx }) {
        ctx.set('Content-Security-Policy', PAGE_POLICY)
        return Promise.resolve(
          new Reply(200, (page ??= renderDocs(documentOf())), 'text/html; charset=utf-8'),
        )
      },
    }),
  ]
  return all
}
