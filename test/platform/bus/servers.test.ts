import { describe, expect, it } from 'vitest'
import { InvalidInput } from '../../../platform/errors.ts'
import { parseServers } from '../../../platform/bus/servers.ts'

describe('a list of NATS servers', () => {
  it('is taken with and without scheme, port and blanks', () => {
    const { addresses, isTls } = parseServers('nats://a:4223, b ,tls://c,[::1]:4224')
    expect(addresses).toEqual(['a:4223', 'b:4222', 'c:4222', '[::1]:4224'])
    expect(isTls).toBe(true)
  })

  it.each([
    ['nats://u:p@a,b', { user: 'u', pass: 'p', token: undefined }],
    ['nats://u%40x:p%3A%2F@a,nats://u%40x:p%3A%2F@b', { user: 'u@x', pass: 'p:/', token: undefined }],
    ['nats://s3cret@a', { user: undefined, pass: undefined, token: 's3cret' }],
    ['a', { user: undefined, pass: undefined, token: undefined }],
  ])('gives its credentials apart from the addresses: %s', (list, credentials) => {
    expect(parseServers(list)).toMatchObject(credentials)
    expect(parseServers(list).addresses.join()).not.toMatch(/@|s3cret/)
  })

  it.each([
    '',
    ' , ',
    'http://a',
    'nats://',
    'nats://u:hush@a:port',
    'nats://hush%@a',
    'nats://u:hush@a,nats://v:hush@b',
  ])('is refused without repeating it: %j', (list) => {
    const refusal = expect(() => parseServers(list))
    refusal.toThrow(InvalidInput)
    refusal.not.toThrow(/hush/)
  })
})
