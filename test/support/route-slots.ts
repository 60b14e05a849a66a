import { z } from 'zod'
import type { Described } from '../../gateway/http/openapi.ts'
import { pathsOf } from '../../platform/http/endpoint.ts'
import { uuid } from '../../platform/identifiers.ts'

/** What a route takes an id of. */
export type Kind =
  | 'domain'
  | 'group'
  | 'client'
  | 'channel'
  | 'user'
  | 'domain role'
  | 'group role'
  | 'client role'
  | 'channel role'
  | 'pat'
  | 'scope'
  | 'session'
  | 'dead letter'
  | 'topic'

/** A place of a request that takes an id. */
export interface Slot {
  readonly place: 'path' | 'query' | 'body'
  readonly name: string
  readonly kind: Kind
  readonly isList: boolean
  /** The id that something new is to have. */
  readonly isNew: boolean
}

/** One way to ask one route: its path, with what is no id filled in, and all that takes an id. */
export interface Form {
  readonly route: Described
  readonly method: string
  readonly path: string
  readonly slots: readonly Slot[]
  /** What the body holds besides ids; `undefined` where there is no body. */
  readonly body: Readonly<Record<string, unknown>> | undefined
  readonly isBulk: boolean
}

/** By the name of a field or a parameter; and of what lists hold and `:id` stands behind. */
const KINDS: Readonly<Record<string, Kind>> = {
  domain_id: 'domain',
  parent_id: 'group',
  parentID: 'group',
  parent_group_id: 'group',
  children_ids: 'group',
  object: 'group',
  access_provider_id: 'group',
  client_ids: 'client',
  subjects: 'client',
  entity_id: 'client',
  publisher: 'client',
  channel_ids: 'channel',
  objects: 'channel',
  user_id: 'user',
  invitee_user_id: 'user',
  invited_by: 'user',
  ownerID: 'user',
  subject: 'user',
  members: 'user',
  member_ids: 'user',
  optional_members: 'user',
  scopes_id: 'scope',
  token_id: 'session',
  seq: 'dead letter',
  domain: 'domain',
  domains: 'domain',
  group: 'group',
  groups: 'group',
  children: 'group',
  parents: 'group',
  memberships: 'group',
  client: 'client',
  clients: 'client',
  channel: 'channel',
  channels: 'channel',
  user: 'user',
  users: 'user',
  search: 'user',
  pat: 'pat',
  pats: 'pat',
  scope: 'scope',
}

/** Names that end like an id's and are none. */
const NO_IDS: ReadonlySet<string> = new Set(['last_event_id'])

/** Older names of body fields; a request has either. */
const OLDER_NAMES = ['subjects', 'objects'] as const
const NEWER_NAMES = ['client_ids', 'channel_ids'] as const

/** Something for every field of a body that is no id, so that it is never the form that refuses. */
const SAMPLES: Readonly<Record<string, unknown>> = {
  name: 'x',
  role_name: 'x',
  description: 'x',
  first_name: 'x',
  last_name: 'x',
  email: 'x@example.com',
  username: 'xxxx',
  credentials: { username: 'xxxx', identity: 'x', secret: 'xxxxxxxx' },
  secret: 'xxxxxxxx',
  password: 'xxxxxxxx',
  confirm_password: 'xxxxxxxx',
  old_secret: 'xxxxxxxx',
  new_secret: 'yyyyyyyy',
  profile_picture: '',
  tags: ['x'],
  metadata: {},
  actions: ['read'],
  types: ['publish'],
  role: 'user',
  duration: '1h',
  scopes: [{ entity_type: 'users', operation: 'view', entity_id: '*' }],
  from_sequence: 1,
  payload: 'W10=',
}

interface Schema {
  readonly type?: string
  readonly pattern?: string
  readonly enum?: readonly string[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}

const schemaOf = (schema: z.ZodType | undefined): Schema =>
  schema === undefined ? {} : (z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema)

const UUID_PATTERN = schemaOf(uuid).pattern

const isUuid = ({ pattern }: Schema) => pattern !== undefined && pattern === UUID_PATTERN

/**
 * All forms of a route: each of its paths, each word that a parameter may be, each of the names that a body knows.
 *
 * @throws when it cannot tell what an id is an id of, or has no sample of what a body needs; say so above
 */
export function formsOf(route: Described): Form[] {
  const bodies = bodiesOf(route)
  const query = Object.entries(schemaOf(route.query).properties ?? {})
  return pathsOf(route)
    .flatMap((path) => wordings(path, schemaOf(route.params).properties ?? {}))
    .flatMap((path) => {
      const slots = [
        ...[...path.matchAll(/:(\w+)/g)].flatMap(([, name = '']) => slot('path', name, {}, path)),
        ...query.flatMap(([name, schema]) => slot('query', name, schema, path)),
      ]
      return bodies.map(({ fields, isBulk, body }) => ({
        route,
        method: route.method.toUpperCase(),
        path,
        slots: [...slots, ...fields.flatMap(([name, schema]) => slot('body', name, schema, path))],
        body,
        isBulk,
      }))
    })
}

/**
 * The request of a form.
 *
 * @param idOf what to put into each slot; nothing leaves the slot out, which only those of queries and bodies can be
 * @throws when the form is not one that the route takes
 */
export function fill(form: Form, idOf: (slot: Slot) => string | undefined) {
  let path = form.path
  const query: string[] = []
  const fields: Record<string, unknown> = { ...form.body }
  for (const slot of form.slots) {
    const id = idOf(slot)
    if (id === undefined) continue
    if (slot.place === 'path') path = path.replace(`:${slot.name}`, id)
    else if (slot.place === 'query') query.push(`${slot.name}=${id}`)
    else fields[slot.name] = slot.isList ? [id] : id
  }
  if (query.length > 0) path += `?${query.join('&')}`
  if (form.body === undefined) return { path, body: undefined }
  const body = form.isBulk ? [fields] : fields
  form.route.body?.parse(body)
  return { path, body }
}

/** The path for each word of its parameters that are one of several words. */
function wordings(path: string, params: Readonly<Record<string, Schema>>): string[] {
  const open = Object.entries(params).find(([name, one]) => one.enum && path.includes(`:${name}`))
  const withoutRest = path.replace(/\/?\*\w+/, '/x')
  if (!open) return [withoutRest]
  const [name, { enum: words = [] }] = open
  return words.flatMap((word) => wordings(path.replace(`:${name}`, word), params))
}

function bodiesOf(route: Described) {
  if (!route.body) return [{ fields: [], isBulk: false, body: undefined }]
  const whole = schemaOf(route.body)
  const { properties = {}, required = [] } = whole.items ?? whole
  // Where there are types, `actions` is their older name.
  const fields = Object.entries(properties).filter(([name]) => name !== 'actions' || !('types' in properties))
  const body: Record<string, unknown> = {}
  for (const [name, schema] of fields) {
    if (name in SAMPLES) body[name] = SAMPLES[name]
    else if (required.includes(name) && !takesId('body', name, schema)) {
      throw new Error(`no sample of ${name}, which ${route.method} ${String(route.path)} needs`)
    }
  }
  const without = (names: readonly string[]) => fields.filter(([name]) => !names.includes(name))
  const hasOlder = OLDER_NAMES.some((name) => name in properties)
  const named = hasOlder ? [without(OLDER_NAMES), without(NEWER_NAMES)] : [fields]
  return named.map((some) => ({ fields: some, isBulk: whole.items !== undefined, body }))
}

function takesId(place: Slot['place'], name: string, schema: Schema): boolean {
  const inner = schema.items ?? schema
  if (place === 'path' || isUuid(inner) || name === 'publisher') return true
  // A topic that is one level long names nothing.
  if (name === 'topic') return inner.pattern === undefined
  return /(_ids?|ID)$/.test(name) && !NO_IDS.has(name)
}

function slot(place: Slot['place'], name: string, schema: Schema, path: string): Slot[] {
  if (!takesId(place, name, schema)) return []
  const isNew = place === 'body' && name === 'id'
  return [{ place, name, kind: kindOf(place, name, path), isList: schema.items !== undefined, isNew }]
}

function kindOf(place: Slot['place'], name: string, path: string): Kind {
  if (name === 'topic') return 'topic'
  if (name === 'role' || name === 'role_id') {
    const [, type = 'domain'] = /\/(group|client|channel)s(?:\/|$)/.exec(path) ?? []
    return `${type as 'domain' | 'group' | 'client' | 'channel'} role`
  }
  const before = place === 'path' ? path.slice(0, path.indexOf(`/:${name}`)) : path.replace(/\/bulk$/, '')
  const kind = KINDS[name === 'id' || name === 'entity' ? (before.split('/').at(-1) ?? '') : name]
  if (kind === undefined) throw new Error(`of what is ${name} in ${path} an id?`)
  return kind
}
