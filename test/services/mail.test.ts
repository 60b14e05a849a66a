import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pino } from 'pino'
import { createClient } from '../../platform/db/connect.ts'
import { createMailer } from '../../platform/mail.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startSmtpServer } from '../support/smtp.ts'
import type { SmtpServer } from '../support/smtp.ts'

let smtp: SmtpServer
let gateway: TestGateway
let api: Api
beforeAll(async () => {
  smtp = await startSmtpServer()
  gateway = await startTestGateway({
    SLUICE_SMTP_URL: smtp.url,
    SLUICE_SMTP_FROM: 'Plant <gateway@example.com>',
    SLUICE_PUBLIC_URL: 'https://iot.example.com',
    SLUICE_LINK_ORIGINS: 'https://ui.example.com',
    SLUICE_REQUIRE_VERIFIED_EMAIL: '1',
  })
  api = createApi(gateway.url)
})
afterAll(async () => {
  await gateway.stop()
  await smtp.stop()
})

const mailTo = (username: string, nth = 0) =>
  eventually(`a mail to ${username}`, () =>
    smtp.mails.filter((mail) => mail.to.includes(`${username}@example.com`)).at(nth),
  )

const tokenIn = (text: string) => {
  const link = /https:\/\/\S+/.exec(text)?.[0] ?? ''
  return { link, token: new URL(link).searchParams.get('token') ?? '' }
}

const requestReset = (email: string, options: object = {}) =>
  api.call('POST', '/password/reset-request', { body: { email, ...options } })

const reset = (token: string, password = 'a new password') =>
  api.call('PUT', '/password/reset', { token, body: { password, confirm_password: password } })

async function verified() {
  const person = await api.given.person()
  await api.expect(200, 'POST', '/users/send-verification', { token: person.token })
  const { token } = tokenIn((await mailTo(person.username)).text)
  await api.expect(200, 'GET', `/verify-email?token=${token}`)
  return { person, token }
}

describe('verifying an e-mail address', () => {
  it('works by the link of a mail, once, and shows on the profile', async () => {
    const person = await api.given.person()
    const sent = await api.expect(200, 'POST', '/users/send-verification', { token: person.token })
    expect(sent.text).toBe('')
    const mail = await mailTo(person.username)
    expect(mail.from).toBe('gateway@example.com')
    const { link, token } = tokenIn(mail.text)
    expect(link.startsWith('https://iot.example.com/verify-email?token=')).toBe(true)

    expect((await api.expect(200, 'GET', `/verify-email?token=${token}`)).text).toBe('')
    const { body } = await api.expect(200, 'GET', '/users/profile', { token: person.token })
    expect(body.verified_at).toBeDefined()
    expect((await api.call('GET', `/verify-email?token=${token}`)).status).toBe(400)
    const again = await api.call('POST', '/users/send-verification', { token: person.token })
    expect([again.status, again.body.error]).toEqual([409, 'already_verified'])
  })

  it('is asked for anew when the address changes, and old links prove nothing about the new one', async () => {
    const person = await api.given.person()
    await api.expect(200, 'POST', '/users/send-verification', { token: person.token })
    const { token } = tokenIn((await mailTo(person.username)).text)
    await api.expect(200, 'PATCH', `/users/${person.id}/email`, {
      token: person.token,
      body: { email: `other.${person.username}@example.com` },
    })
    expect((await api.call('GET', `/verify-email?token=${token}`)).status).toBe(400)

    const one = await verified()
    const changed = await api.expect(200, 'PATCH', `/users/${one.person.id}/email`, {
      token: one.person.token,
      body: { email: `other.${one.person.username}@example.com` },
    })
    expect(changed.body.verified_at).toBeUndefined()
  })

  it('opens the rest where it is demanded; until then only what leads there is open', async () => {
    const person = await api.given.person()
    const { token } = person
    expect((await api.call('POST', '/domains', { token, body: { name: 'x' } })).status).toBe(403)
    expect((await api.call('GET', '/users', { token })).status).toBe(403)
    await api.expect(200, 'GET', '/users/profile', { token })
    await api.expect(201, 'POST', '/users/tokens/refresh', { token: person.refreshToken })
    const { person: good } = await verified()
    await api.expect(201, 'POST', '/domains', { token: good.token, body: { name: 'x' } })
    const root = await api.signIn(ADMIN.username, ADMIN.password)
    await api.expect(200, 'GET', '/users', { token: root.token })
  })
})

describe('a forgotten password', () => {
  it('is replaced with the token of the mail, once; all sessions end', async () => {
    const person = await api.given.person()
    const asked = await requestReset(`${person.username}@example.com`)
    expect(asked.status).toBe(201)
    expect(asked.body.msg).toBeDefined()
    const { link, token } = tokenIn((await mailTo(person.username)).text)
    expect(link.startsWith('https://iot.example.com/password/reset?token=')).toBe(true)

    const answer = await reset(token)
    expect([answer.status, answer.body]).toEqual([201, {}])
    await api.signIn(person.username, 'a new password')
    const old = { username: person.username, password: person.password }
    expect((await api.call('POST', '/users/tokens/issue', { body: old })).status).toBe(401)
    expect((await api.call('GET', '/users/profile', { token: person.token })).status).toBe(401)
    expect((await reset(token)).status).toBe(401)
  })

  it('takes the token in the body too, and wants the password twice, of 8 characters', async () => {
    const person = await api.given.person()
    await requestReset(`${person.username}@example.com`)
    const { token } = tokenIn((await mailTo(person.username)).text)
    const put = (body: object) => api.call('PUT', '/password/reset', { body: { token, ...body } })
    expect((await put({ password: 'one password', confirm_password: 'another one' })).status).toBe(400)
    expect((await put({ password: 'short', confirm_password: 'short' })).status).toBe(400)
    expect((await put({ password: 'one password', confirm_password: 'one password' })).status).toBe(201)
  })

  it('gives the same answer for an address that nobody has, and sends nothing there', async () => {
    const person = await api.given.person()
    const known = await requestReset(`${person.username}@example.com`)
    const unknown = await requestReset('nobody@example.com')
    expect([unknown.status, unknown.text]).toEqual([known.status, known.text])
    await mailTo(person.username)
    expect(smtp.mails.some((mail) => mail.to.includes('nobody@example.com'))).toBe(false)
  })

  it('leads to a user interface of ours when asked from there, and never to a place of a stranger', async () => {
    const person = await api.given.person()
    const email = `${person.username}@example.com`
    await requestReset(email, { host: 'https://ui.example.com/app/' })
    expect(tokenIn((await mailTo(person.username)).text).link).toMatch(
      /^https:\/\/ui\.example\.com\/app\/password\/reset\?token=/,
    )
    await requestReset(email, { host: 'https://evil.example.net' })
    expect((await mailTo(person.username, 1)).text).not.toContain('evil')
    await api.expect(201, 'POST', '/password/reset-request', {
      body: { email },
      headers: { referer: 'https://ui.example.com' },
    })
    expect(tokenIn((await mailTo(person.username, 2)).text).link).toContain('https://ui.example.com/')
  })

  it('is not replaced with a token that is too old, nor with one that verifies', async () => {
    const person = await api.given.person()
    await requestReset(`${person.username}@example.com`)
    const { token } = tokenIn((await mailTo(person.username)).text)
    await api.expect(200, 'POST', '/users/send-verification', { token: person.token })
    const verification = tokenIn((await mailTo(person.username, 1)).text)
    expect((await reset(verification.token)).status).toBe(401)
    expect((await api.call('GET', '/users/profile', { token })).status).toBe(401)
    expect((await api.call('POST', '/users/tokens/refresh', { token })).status).toBe(401)

    const client = createClient(gateway.ground.databaseUrl, 'test')
    await client.connect()
    await client.query("update one_time_tokens set expires_at = now() - interval '1 second'")
    await client.end()
    expect((await reset(token)).status).toBe(401)
  })

  it('lets nobody in who is disabled', async () => {
    const { person } = await verified()
    await requestReset(`${person.username}@example.com`)
    const { token } = tokenIn((await mailTo(person.username, 1)).text)
    await api.expect(200, 'POST', `/users/${person.id}/disable`, { token: person.token })
    expect((await reset(token)).status).toBe(401)
  })
})

describe('a mail server that is away', () => {
  it('changes no answer', async () => {
    const lost = await startTestGateway(
      { SLUICE_SMTP_URL: 'smtp://127.0.0.1:1', SLUICE_UPKEEP_S: '3600' },
      gateway.ground,
    )
    try {
      const there = createApi(lost.url)
      const person = await there.given.person()
      const answer = await there.call('POST', '/password/reset-request', {
        body: { email: `${person.username}@example.com` },
      })
      expect(answer.status).toBe(201)
      await there.expect(200, 'POST', '/users/send-verification', { token: person.token })
    } finally {
      await lost.stop()
    }
  })
})

describe('without a mail server', () => {
  it('mails stand in the log, for those who look at level debug', async () => {
    const lines: string[] = []
    for (const level of ['info', 'debug']) {
      const log = pino({ level }, { write: (line: string) => void lines.push(line) })
      const mailer = createMailer({ url: undefined, from: 'gateway@example.com', log })
      await mailer.send({ to: 'ada@example.com', subject: level, text: 'the link' })
      mailer.stop()
    }
    expect(lines.length).toBe(1)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      mail: { from: 'gateway@example.com', to: 'ada@example.com', subject: 'debug', text: 'the link' },
    })
  })
})
