import { decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../platform/db/connect.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { ADMIN, startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'

let ground: Ground
let gateway: TestGateway
let other: TestGateway
let api: Api
let root: string
beforeAll(async () => {
  ground = await startGround()
  gateway = await startTestGateway({}, ground)
  other = await startTestGateway({}, ground)
  api = createApi(gateway.url)
  root = (await api.signIn(ADMIN.username, ADMIN.password)).token
})
afterAll(async () => {
  await Promise.all([gateway.stop(), other.stop()])
  await ground.stop()
})

const kidsOf = async (from: Api): Promise<string[]> =>
  (await from.expect(200, 'GET', '/.well-known/jwks.json')).body.keys.map((key: { kid: string }) => key.kid)

async function query(text: string, values: unknown[] = []) {
  const client = createClient(ground.databaseUrl, 'test')
  await client.connect()
  try {
    return await client.query(text, values)
  } finally {
    await client.end()
  }
}

describe('the list of refresh tokens', () => {
  it('shows the sessions of the caller with their descriptions; revoking one ends it and no other', async () => {
    const person = await api.given.person()
    const { body: pair } = await api.expect(201, 'POST', '/users/tokens/issue', {
      body: { identity: person.username, secret: person.password, description: 'the old phone' },
    })
    const list = () => api.expect(200, 'GET', '/users/tokens/refresh-tokens', { token: person.token })
    const { body: before } = await list()
    expect(before.refresh_tokens.length).toBe(2)
    const { id } = before.refresh_tokens.find(
      (token: { description: string }) => token.description === 'the old phone',
    )
    const revoked = await api.expect(204, 'POST', '/users/tokens/revoke', {
      token: person.token,
      body: { token_id: id },
    })
    expect(revoked.text).toBe('')
    expect((await api.call('POST', '/users/tokens/refresh', { token: pair.refresh_token })).status).toBe(401)
    expect((await api.call('GET', '/users/profile', { token: pair.access_token })).status).toBe(401)
    expect((await list()).body.refresh_tokens.length).toBe(1)
  })

  it('is nothing that others can revoke', async () => {
    const [one, thief] = [await api.given.person(), await api.given.person()]
    const { body } = await api.expect(200, 'GET', '/users/tokens/refresh-tokens', { token: one.token })
    const theft = await api.call('POST', '/users/tokens/revoke', {
      token: thief.token,
      body: { token_id: body.refresh_tokens[0].id },
    })
    expect(theft.status).toBe(404)
    await api.expect(201, 'POST', '/users/tokens/refresh', { token: one.refreshToken })
  })
})

describe('signing keys', () => {
  it('are published at both addresses, and say nothing that is private', async () => {
    const one = await api.expect(200, 'GET', '/.well-known/jwks.json')
    const two = await api.expect(200, 'GET', '/keys/.well-known/jwks.json')
    expect(two.body).toEqual(one.body)
    expect(one.body.keys[0]).toMatchObject({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig' })
    expect(one.body.keys[0]).not.toHaveProperty('d')
    expect(one.body.keys[0].kid).toBe(decodeProtectedHeader(root).kid)
  })

  it('rotate at a superadmin’s word: old tokens hold, new ones hold everywhere without a restart', async () => {
    const person = await api.given.person()
    expect((await api.call('POST', '/keys/rotate', { token: person.token })).status).toBe(403)
    const [first] = await kidsOf(api)
    await api.expect(200, 'POST', '/keys/rotate', { token: root })
    expect((await kidsOf(api)).length).toBe(2)

    await api.expect(200, 'GET', '/users/profile', { token: person.token })
    const fresh = await api.signIn(person.username, person.password)
    const { kid } = decodeProtectedHeader(fresh.token)
    expect(kid).not.toBe(first)
    const there = createApi(other.url)
    await there.expect(200, 'GET', '/users/profile', { token: fresh.token })
    await there.expect(200, 'GET', '/users/profile', { token: person.token })
    expect(await kidsOf(there)).toEqual([kid, first])
  })

  it('of no use any more are not believed: what a key signed that has long had a successor is refused', async () => {
    const person = await api.given.person()
    const { kid } = decodeProtectedHeader(person.token)
    await api.expect(200, 'POST', '/keys/rotate', { token: root })
    await query("update signing_keys set created_at = created_at - interval '3 days'")
    // Both processes read the keys anew when they meet one that they do not know.
    await api.expect(200, 'POST', '/keys/rotate', { token: root })
    expect(await kidsOf(api)).not.toContain(kid)
    expect((await api.call('GET', '/users/profile', { token: person.token })).status).toBe(401)
    root = (await api.signIn(ADMIN.username, ADMIN.password)).token
  })

  it('are replaced by age', async () => {
    await query("update signing_keys set created_at = created_at - interval '3 days'")
    const before = await query('select id from signing_keys')
    const third = await startTestGateway({ SLUICE_SIGNING_KEY_S: '86400', SLUICE_UPKEEP_S: '1' }, ground)
    try {
      const known = new Set(before.rows.map((row: { id: string }) => row.id))
      await eventually('there is a new key', async () =>
        (await kidsOf(createApi(third.url))).some((kid) => !known.has(kid)),
      )
      await eventually('superseded keys are gone', async () => {
        const { rows } = await query('select id from signing_keys where id = any ($1)', [[...known]])
        return rows.length <= 1
      })
    } finally {
      await third.stop()
    }
  })
})

describe('a token of one kind', () => {
  it('is nothing where another is wanted', async () => {
    const person = await api.given.person()
    for (const token of [person.token, person.refreshToken]) {
      const reset = await api.call('PUT', '/password/reset', {
        token,
        body: { password: 'new password', confirm_password: 'new password' },
      })
      expect(reset.status).toBe(401)
      expect((await api.call('GET', `/verify-email?token=${token}`)).status).toBe(400)
    }
  })
})

describe('sessions that nobody can go on with', () => {
  it('are removed, and those that are still good are not', async () => {
    const [gone, good] = [await api.given.person(), await api.given.person()]
    await query(
      `update refresh_tokens set expires_at = now() - interval '2 days'
       where session_id in (select id from sessions where user_id = $1)`,
      [gone.id],
    )
    const third = await startTestGateway({ SLUICE_UPKEEP_S: '1' }, ground)
    try {
      await eventually('the session is gone', async () => {
        const { rows } = await query('select id from sessions where user_id = $1', [gone.id])
        return rows.length === 0
      })
    } finally {
      await third.stop()
    }
    await api.expect(201, 'POST', '/users/tokens/refresh', { token: good.refreshToken })
  })
})
