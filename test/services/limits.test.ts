import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAttempts } from '../../platform/attempts.ts'
import { RateLimited, Unauthenticated } from '../../platform/errors.ts'
import { createAddressReader } from '../../platform/http/client-address.ts'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
let api: Api
beforeAll(async () => {
  gateway = await startTestGateway({
    SLUICE_MAX_FAILURES_PER_ACCOUNT: '5',
    SLUICE_MAX_FAILURES_PER_ADDRESS: '20',
    SLUICE_FAILURE_WINDOW_S: '86400',
    // The tests are the proxy, and so come from whichever address they say.
    SLUICE_TRUST_PROXY: '127.0.0.1,::1',
  })
  api = createApi(gateway.url)
})
afterAll(() => gateway.stop())

const from = (address: string) => ({ 'x-forwarded-for': address })
const signIn = (username: string, password: string, address: string) =>
  api.call('POST', '/users/tokens/issue', { body: { username, password }, headers: from(address) })

async function statuses(times: number, attempt: () => Promise<{ status: number }>): Promise<number[]> {
  const found: number[] = []
  for (let i = 0; i < times; i++) found.push((await attempt()).status)
  return found
}

const FIVE = [401, 401, 401, 401, 401]

describe('guessing a password', () => {
  it('is put off after some failures, from whichever address, and says when to try again', async () => {
    const person = await api.given.person()
    let n = 0
    const found = await statuses(6, () => signIn(person.username, 'wrong', `198.51.100.${n++}`))
    expect(found).toEqual([...FIVE, 429])
    const answer = await signIn(person.username, person.password, '198.51.100.99')
    expect(answer.status).toBe(429)
    expect(answer.body).toEqual({ error: 'rate_limited', message: 'too many attempts; try again later' })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  })

  it('looks the same for an account that there is not', async () => {
    expect(await statuses(6, () => signIn('nobody-at-all', 'wrong', '203.0.113.1'))).toEqual([...FIVE, 429])
  })

  it('is put off for an address that tries many accounts', async () => {
    let n = 0
    const found = await statuses(21, () => signIn(`guess${n++}`, 'wrong', '203.0.113.2'))
    expect(found.slice(0, 20).every((status) => status === 401)).toBe(true)
    expect(found[20]).toBe(429)
    expect((await signIn('guess99', 'wrong', '203.0.113.3')).status).toBe(401)
    const refreshed = await api.call('POST', '/users/tokens/refresh', {
      token: 'srt_guess',
      headers: from('203.0.113.2'),
    })
    expect(refreshed.status).toBe(429)
  })

  it('does not get further by asking for everything at once', async () => {
    const person = await api.given.person()
    const answers = await Promise.all(
      Array.from({ length: 19 }, (_, i) =>
        signIn(person.username, i === 18 ? person.password : `wrong${i}`, '203.0.113.4'),
      ),
    )
    expect(answers.filter((answer) => answer.status === 401).length).toBeLessThanOrEqual(5)
  })

  it('with the old password of a change counts too', async () => {
    const person = await api.given.person()
    const change = (old: string) =>
      api.call('PATCH', '/users/secret', {
        token: person.token,
        body: { old_secret: old, new_secret: 'new password' },
        headers: from('203.0.113.5'),
      })
    expect(await statuses(6, () => change('wrong'))).toEqual([...FIVE, 429])
    expect((await change(person.password)).status).toBe(429)
  })
})

describe('mails that somebody asks for', () => {
  it('are limited per address of mail, account or not', async () => {
    const person = await api.given.person()
    for (const email of [`${person.username}@example.com`, 'nobody@example.com']) {
      const found = await statuses(6, () =>
        api.call('POST', '/password/reset-request', { body: { email }, headers: from('203.0.113.6') }),
      )
      expect(found).toEqual([201, 201, 201, 201, 201, 429])
    }
  })
})

describe('those who sign in rightly', () => {
  it('are not counted, however many share an address', async () => {
    const people = await Promise.all(Array.from({ length: 6 }, () => api.given.person()))
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(
        people.map((person) => signIn(person.username, person.password, '203.0.113.7')),
      )
      expect(answers.map((answer) => answer.status)).toEqual(people.map(() => 201))
    }
  })
})

describe('counting failures', () => {
  const limits = { perAccount: 2, perAddress: 3, windowS: 3_600 }
  const fail = () => Promise.reject(new Unauthenticated())

  it('takes IPv4 inside IPv6 for the IPv4 that it is', () => {
    const attempts = createAttempts(limits)
    for (let i = 0; i < 3; i++) attempts.count({ purpose: 'p', address: '::ffff:192.0.2.1' })
    expect(() => attempts.check({ purpose: 'p', address: '192.0.2.1' })).toThrow(RateLimited)
    expect(() => attempts.check({ purpose: 'p', address: '::ffff:192.0.2.2' })).not.toThrow()
  })

  it('goes by /64 for IPv6, and by purpose for accounts', async () => {
    const attempts = createAttempts(limits)
    for (const address of ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:ffff::3']) {
      await expect(attempts.guard({ purpose: 'p', address }, fail)).rejects.toThrow(Unauthenticated)
    }
    expect(() => attempts.check({ purpose: 'p', address: '2001:db8::4' })).toThrow(RateLimited)
    expect(() => attempts.check({ purpose: 'p', address: '2001:db8:0:1::4' })).not.toThrow()
    for (let i = 0; i < 2; i++) attempts.count({ purpose: 'p', account: 'Ada' })
    expect(() => attempts.check({ purpose: 'p', account: 'ada' })).toThrow(RateLimited)
    expect(() => attempts.check({ purpose: 'q', account: 'ada' })).not.toThrow()
  })

  it('keeps a right guess from those who were put off while it was looked at', async () => {
    const attempts = createAttempts(limits)
    const attempt = { purpose: 'p', account: 'ada' }
    const guess = attempts.guard(attempt, async () => {
      attempts.count(attempt)
      attempts.count(attempt)
      return Promise.resolve('right')
    })
    await expect(guess).rejects.toThrow(RateLimited)
  })

  it('leaves errors alone that say nothing about the credentials', async () => {
    const attempts = createAttempts(limits)
    for (let i = 0; i < 9; i++) {
      const away = attempts.guard({ purpose: 'p', account: 'ada' }, () => Promise.reject(new Error('away')))
      await expect(away).rejects.toThrow('away')
    }
  })
})

describe('the address of a request', () => {
  const request = (remoteAddress: string, forwarded?: string) =>
    ({ socket: { remoteAddress }, headers: { 'x-forwarded-for': forwarded } }) as never

  it.each([
    ['nobody is trusted', [], '10.0.0.1', '192.0.2.1', '10.0.0.1'],
    ['the proxy is trusted', ['10.0.0.0/8'], '10.0.0.1', '192.0.2.1', '192.0.2.1'],
    [
      'what came before the proxy is not believed',
      ['10.0.0.1'],
      '10.0.0.1',
      '1.2.3.4, 192.0.2.1',
      '192.0.2.1',
    ],
    ['there are two proxies', ['10.0.0.0/8'], '::ffff:10.0.0.1', '1.2.3.4, 192.0.2.1, 10.0.0.2', '192.0.2.1'],
    ['somebody else pretends', ['10.0.0.1'], '192.0.2.9', '1.2.3.4', '192.0.2.9'],
    ['the header is rubbish', ['10.0.0.1'], '10.0.0.1', 'unknown', '10.0.0.1'],
    ['there is no header', ['10.0.0.1'], '10.0.0.1', undefined, '10.0.0.1'],
    ['it is all IPv6', ['fd00::/8'], 'fd00::1', '2001:db8::7', '2001:db8::7'],
  ])('is right when %s', (_what, proxies, remote, forwarded, expected) => {
    expect(createAddressReader(proxies)(request(remote, forwarded))).toBe(expected)
  })
})
