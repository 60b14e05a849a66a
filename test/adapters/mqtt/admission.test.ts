import { describe, expect, it } from 'vitest'
import { createAdmission } from '../../../adapters/mqtt/admission.ts'

const create = () => createAdmission({ maxConnections: 100, maxUnauthenticatedPerAddress: 1 })

describe('strangers of one address', () => {
  it.each([
    ['another address of the same IPv6 network', '2001:db8:1:2::1', '2001:db8:1:2:ffff::9', false],
    ['another IPv6 network', '2001:db8:1:2::1', '2001:db8:1:3::1', true],
    ['another IPv4 address, as a socket for both shows it', '::ffff:10.0.0.1', '::ffff:10.0.0.2', true],
    ['the same IPv4 address in its other form', '::ffff:10.0.0.1', '10.0.0.1', false],
  ])('count for %s as they should', (_which, one, other, isAdmitted) => {
    const admission = create()
    expect(admission.admit(one)).toBeUndefined()
    expect(admission.admit(other)).toBe(isAdmitted ? undefined : 'too_many_unauthenticated')
  })

  it('make room when they have shown who they are, or are gone', () => {
    const admission = create()
    admission.admit('2001:db8::1')
    admission.onAuthenticated('2001:db8::1')
    expect(admission.admit('2001:db8::2')).toBeUndefined()
    admission.onClosed('2001:db8::2', false)
    expect(admission.admit('2001:db8::3')).toBeUndefined()
  })
})
