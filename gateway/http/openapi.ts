import { z } from 'zod'
import { pathsOf } from '../../platform/http/endpoint.ts'
import type { Endpoint } from '../../platform/http/endpoint.ts'
import { HTTP_STATUS } from '../../platform/http/status.ts'

/** What of a route is documented; everything but what it does. */
export type Described = Pick<
  Endpoint,
  'method' | 'path' | 'summary' | 'access' | 'params' | 'query' | 'body' | 'status' | 'response'
>

export type JsonSchema = Readonly<Record<string, unknown>>

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly required: boolean
  readonly schema: JsonSchema
}

interface Content {
  readonly content: { readonly 'application/json': { readonly schema: JsonSchema } }
}

export interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly tags: readonly string[]
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters: readonly Parameter[]
  readonly requestBody?: Content
  readonly responses: Readonly<
    Record<string, ({ readonly description: string } & Partial<Content>) | { readonly $ref: string }>
  >
}

/** An OpenAPI 3.1 document, as far as we write one. */
export interface OpenApiDocument {
  readonly openapi: '3.1.0'
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: Readonly<Record<string, unknown>>
}

const SECURITY: Readonly<Record<Endpoint['access'], Operation['security']>> = {
  anyone: [],
  user: [{ accessToken: [] }, { personalAccessToken: [] }],
  session: [{ accessToken: [] }],
  device: [{ client: [] }, { basic: [] }, { accessToken: [] }, { personalAccessToken: [] }],
}

const bearer = (description: string) => ({ type: 'http', scheme: 'bearer', description })
const COMPONENTS = {
  securitySchemes: {
    accessToken: bearer('Access token, from `POST /users/tokens/issue`'),
    personalAccessToken: bearer('Personal access token, `pat_…`; good for what its scopes name'),
    basic: { type: 'http', scheme: 'basic', description: 'Id and secret of a client' },
    client: { type: 'apiKey', in: 'header', name: 'Authorization', description: '`Client <secret>`' },
  },
  responses: {
    Error: {
      description: `What went wrong: ${[...new Set(Object.values(HTTP_STATUS))].join(', ')}`,
      content: {
        'application/json': {
          schema: toSchema(
            z.object({
              error: z.string().describe('Stable name for programs'),
              message: z.string().describe('For people'),
            }),
            'output',
          ),
        },
      },
    },
  },
} as const

/** Writes the API's documentation out of the declarations that serve it. */
export function describeApi(endpoints: readonly Described[], version: string): OpenApiDocument {
  const paths: Record<string, Record<string, Operation>> = {}
  for (const one of endpoints) {
    for (const path of pathsOf(one)) {
      const place = toTemplate(path)
      ;(paths[place] ??= {})[one.method] = describeOperation(one, path)
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Sluice', version, description: 'IoT messaging gateway' },
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
    components: COMPONENTS,
  }
}

/** A router's path as OpenAPI writes it. */
export const toTemplate = (path: string) => path.replace(/[:*](\w+)/g, '{$1}')

function describeOperation(one: Described, path: string): Operation {
  const literals = path.split('/').filter((segment) => segment !== '' && !/[:*]/.test(segment))
  return {
    operationId: `${one.method}${path.replace(/[^A-Za-z0-9]+/g, '_')}`,
    summary: one.summary,
    tags: [literals[0] ?? 'publish'],
    security: SECURITY[one.access],
    parameters: [...pathParameters(one, path), ...queryParameters(one)],
    ...(one.body && { requestBody: content(one.body, 'input') }),
    responses: {
      [one.status]: {
        description: one.status === 204 ? 'Done' : 'Done; what the answer holds stands below',
        ...(one.response && content(one.response, 'output')),
      },
      default: { $ref: '#/components/responses/Error' },
    },
  }
}

function pathParameters({ params }: Described, path: string): Parameter[] {
  const properties = propertiesOf(params)
  return [...path.matchAll(/[:*](\w+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: properties[name] ?? { type: 'string' },
  }))
}

function queryParameters({ query }: Described): Parameter[] {
  return Object.entries(propertiesOf(query)).map(([name, schema]) => ({
    name,
    in: 'query',
    required: requiredOf(query).includes(name),
    schema,
  }))
}

const content = (schema: z.ZodType, io: 'input' | 'output'): Content => ({
  content: { 'application/json': { schema: toSchema(schema, io) } },
})

/** What cannot be said in JSON Schema, such as a check of our own, is left out; the error names the field then. */
function toSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}

function propertiesOf(schema: z.ZodType | undefined): Readonly<Record<string, JsonSchema>> {
  return schema ? ((toSchema(schema, 'input')['properties'] ?? {}) as Record<string, JsonSchema>) : {}
}

function requiredOf(schema: z.ZodType | undefined): readonly string[] {
  return schema ? ((toSchema(schema, 'input')['required'] ?? []) as string[]) : []
}
