import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { createDatabase } from '../platform/db/connect.ts'
import { createPolicy } from '../services/auth/policy.ts'
import { ADMIN, startBenchGateway } from './support/gateway.ts'
import { measureLatency } from './support/latency.ts'
import type { Latency } from './support/latency.ts'
import { report } from './support/report.ts'

/*
 * What administrators wait for, in a domain of 1,000 clients and again when it has 100,000. The bars: a list's page under
 * 50 ms and a bulk of 1,000 under 500 ms (95th percentile), and nothing that grows more than 1.5 times.
 */

const SIZES = [1_000, 100_000] as const
const BULK = 1_000

interface Caller {
  readonly id: string
  readonly token: string
}

const gateway = await startBenchGateway()
const db = createDatabase({ url: gateway.databaseUrl, maxConnections: 4 })

// Answers of many shapes, each read where it is asked for.
// oxlint-disable-next-line typescript/no-explicit-any
async function call(method: string, path: string, token?: string, body?: unknown): Promise<any> {
  const headers: Record<string, string> = {}
  if (token !== undefined) headers.authorization = `Bearer ${token}`
  if (body !== undefined) headers['content-type'] = 'application/json'
  const response = await fetch(gateway.url + path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

async function signIn(username: string, password: string): Promise<string> {
  return (await call('POST', '/users/tokens/issue', undefined, { username, password })).access_token
}

async function person(name: string): Promise<Caller> {
  const { id } = await call('POST', '/users', undefined, {
    first_name: name,
    last_name: 'Bench',
    email: `${name}@example.com`,
    credentials: { username: name, secret: ADMIN.password },
  })
  return { id, token: await signIn(name, ADMIN.password) }
}

/** A role on each of the entities, as the API would make them. */
async function giveRole(
  user: Caller,
  type: 'domain' | 'client',
  entities: readonly string[],
  actions: string[],
): Promise<void> {
  for (let first = 0; first < entities.length; first += BULK) {
    const ids = sql`unnest(${entities.slice(first, first + BULK)}::uuid[]) as id`
    const role = sql`${type} || '_' || ${user.id} || id`
    await sql`
      insert into roles (id, entity_type, entity_id, domain_id, name, created_by)
      select ${role}, ${type}, id, ${domain.id}, ${user.id}, ${user.id} from ${ids}
      on conflict do nothing`.execute(db)
    await sql`
      insert into role_actions (role_id, action) select ${role}, action from ${ids}, unnest(${actions}::text[]) as action
      on conflict do nothing`.execute(db)
    await sql`
      insert into role_members (role_id, user_id, entity_type, entity_id, domain_id)
      select ${role}, ${user.id}, ${type}, id, ${domain.id} from ${ids}
      on conflict do nothing`.execute(db)
  }
}

const owner = await person('owner')
const domain: { id: string } = await call('POST', '/domains', owner.token, { name: 'Plant' })
const [member, few, maker] = [await person('member'), await person('few'), await person('maker')]
const other: { id: string } = await call('POST', '/domains', owner.token, { name: 'Other' })
await giveRole(member, 'domain', [domain.id], ['read', 'client_read'])
await giveRole(few, 'domain', [domain.id], ['read'])
await giveRole(maker, 'domain', [domain.id], ['read', 'client_create'])

const newClient = (index: number) => ({
  name: `Sensor ${index}`,
  tags: [`line-${index % 10}`],
  metadata: { site: index % 100, serial: index },
})

let clients = 0
async function growTo(size: number): Promise<void> {
  for (; clients < size; clients += BULK) {
    const body = Array.from({ length: BULK }, (_, i) => newClient(clients + i))
    await call('POST', `/${domain.id}/clients/bulk`, owner.token, body)
  }
  const { rows } = await sql<{ id: string }>`select id from clients where domain_id = ${domain.id}`.execute(
    db,
  )
  const ids = rows.map((row) => row.id)
  await giveRole(few, 'client', ids.slice(0, 10), ['read'])
  await giveRole(maker, 'client', ids, ['read', 'update', 'delete'])
  // What autovacuum does within minutes.
  await sql`vacuum analyze`.execute(db)
}

async function run(): Promise<Map<string, Latency>> {
  const found = new Map<string, Latency>()
  const measure = async (
    name: string,
    request: (index: number) => Promise<unknown>,
    { count = 400, concurrency = 2 } = {},
  ) => {
    found.set(name, await measureLatency(request, { count, concurrency }))
  }
  const page =
    (who: Caller, query = '') =>
    () =>
      call('GET', `/${domain.id}/clients?limit=10&${query}`, who.token)

  await measure('login', () => signIn('owner', ADMIN.password), { count: 60 })
  await measure('list page, creator of all', page(owner))
  await measure('list page, by name, offset 500', page(owner, 'order=name&dir=asc&offset=500'))
  await measure('list page, role on the domain', page(member))
  await measure('list page, ten direct roles', page(few))
  await measure('list page, direct roles on all', page(maker))
  await measure('list page, part of a name', page(owner, 'name=sor+99'))
  await measure('list page, metadata', page(owner, `metadata=${encodeURIComponent('{"serial":77}')}`))
  await measure('client create', (i) => call('POST', `/${other.id}/clients`, owner.token, newClient(i)))
  await measure(
    `bulk of ${BULK}`,
    () =>
      call(
        'POST',
        `/${other.id}/clients/bulk`,
        owner.token,
        Array.from({ length: BULK }, (_, i) => newClient(i)),
      ),
    { count: 12, concurrency: 1 },
  )
  for (const who of ['creator', 'member'] as const) {
    await measure(
      `authorization check, ${who}`,
      await authorizationCheck(who === 'creator' ? owner : member),
      {
        count: 2_000,
      },
    )
  }
  return found
}

async function authorizationCheck(who: Caller): Promise<() => Promise<void>> {
  const policy = createPolicy(db)
  const { rows } = await sql<{ id: string }>`
    select id from clients where domain_id = ${domain.id} order by random() limit 1000`.execute(db)
  let next = 0
  return async () => {
    const id = rows[next++ % rows.length]?.id ?? randomUUID()
    const isAllowed = await policy.allows({ userId: who.id, isSuperadmin: false }, 'client.view', id)
    if (!isAllowed) throw new Error('a check that should pass did not')
  }
}

const results: Map<string, Latency>[] = []
for (const size of SIZES) {
  await growTo(size)
  results.push(await run())
}
const round = (value: number) => Math.round(value * 100) / 100
const [small, large] = results
report(
  'management',
  [...(small ?? [])].flatMap(([name, at1k]) => {
    const at100k = large?.get(name) ?? at1k
    return [at1k, at100k].map((found, i) => ({
      what: name,
      clients: SIZES[i] ?? 0,
      'requests/s': Math.round(found.perSecond),
      'p50 ms': round(found.p50),
      'p95 ms': round(found.p95),
      'p99 ms': round(found.p99),
      'growth of p95': i === 0 ? '' : String(round(at100k.p95 / at1k.p95)),
    }))
  }),
)
await db.destroy()
await gateway.stop()
