import { describe, expect, it } from 'vitest'
import { bearerAsSecret, readCredentials, splitUrl } from '../../../platform/http/credentials.ts'

const id = '6f0b0d2e-8d1c-4c54-9d5e-2f4d4a2f7b10'
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

describe('the credentials of a request', () => {
  it.each([
    ['Bearer a.b.c', { kind: 'token', token: 'a.b.c' }],
    ['bearer pat_x', { kind: 'token', token: 'pat_x' }],
    ['Client s3', { kind: 'secret', secret: 's3' }],
    ['CLIENT  s3 ', { kind: 'secret', secret: 's3' }],
    ['s3', { kind: 'secret', secret: 's3' }],
    ['s3 with blanks', { kind: 'secret', secret: 's3 with blanks' }],
    [basic(`${id}:s:3`), { kind: 'client', clientId: id, secret: 's:3' }],
    [basic(`${id.toUpperCase()}:s3`), { kind: 'client', clientId: id, secret: 's3' }],
    [basic('anything:s3'), { kind: 'secret', secret: 's3' }],
    [basic(':s3'), { kind: 'secret', secret: 's3' }],
  ])('are read from %s, in the header and in the query', (text, presented) => {
    expect(readCredentials(text, undefined)).toEqual(presented)
    expect(readCredentials(undefined, text)).toEqual(presented)
  })

  it.each([
    undefined,
    '',
    ' ',
    'Bearer',
    'Bearer ',
    'Bearer undefined',
    'null',
    'Client',
    basic('no colon'),
    basic('x:'),
    'Basic !',
  ])('are missing in %j', (text) => {
    expect(readCredentials(text, null)).toBeUndefined()
  })

  it('come from the header when both carry some', () => {
    expect(readCredentials('Client a', 'b')).toEqual({ kind: 'secret', secret: 'a' })
    expect(readCredentials('Bearer undefined', 'b')).toEqual({ kind: 'secret', secret: 'b' })
  })

  it('may be a secret behind Bearer where the contract allows it', () => {
    expect(bearerAsSecret({ kind: 'token', token: 'plain' })).toEqual({ kind: 'secret', secret: 'plain' })
    expect(bearerAsSecret({ kind: 'token', token: 'a.b.c' })).toEqual({ kind: 'token', token: 'a.b.c' })
    expect(bearerAsSecret({ kind: 'token', token: 'pat_x' })).toEqual({ kind: 'token', token: 'pat_x' })
  })

  it('are found in a query with two question marks', () => {
    const { path, query } = splitUrl('/m/d/c/ch?roles=true?authorization=Client%20s3&')
    expect(path).toBe('/m/d/c/ch')
    expect(query.get('authorization')).toBe('Client s3')
  })
})
