import { describe, expect, it } from 'vitest'
import { authorityEffect } from '../../adapters/authority-events.ts'

const about = (operation: string, fields: object = {}) =>
  authorityEffect({
    id: 'event',
    operation,
    domain_id: 'domain',
    entity_type: '',
    entity_id: 'entity',
    actor_id: 'actor',
    occurred_at: '2026-01-01T00:00:00Z',
    attributes: {},
    ...fields,
  })

describe('an announced operation', () => {
  it.each([
    ['channel.disable', { domainId: 'domain', channelIds: ['entity'] }],
    ['channel.set_parent', { domainId: 'domain', channelIds: ['entity'] }],
    ['client.update_secret', { domainId: 'domain', clientIds: ['entity'] }],
    ['domain.enable', { domainId: 'entity' }],
    ['domain.disable', { domainId: 'entity' }],
    ['domain.freeze', { domainId: 'entity' }],
    ['domain.delete', { domainId: 'entity' }],
    ['invitation.accept', { kind: 'user', domainId: 'domain' }],
    ['client.role.actions.remove_all', { kind: 'user', domainId: 'domain' }],
    ['channel.role.members.remove', { kind: 'user', domainId: 'domain' }],
    ['group.role.members.remove_from_all_roles', { kind: 'user', domainId: 'domain' }],
    ['domain.role.add', { kind: 'user', domainId: 'domain' }],
    ['user.update_role', { userIds: ['entity'] }],
    ['channel.remove_role', { kind: 'user', domainId: 'domain' }],
    ['domain.role.remove_members', { kind: 'user', domainId: 'domain' }],
    ['role.update', { kind: 'user', domainId: 'domain' }],
    ['group.remove', { kind: 'user', domainId: 'domain' }],
    ['pat.revoke', { userIds: ['actor'] }],
  ])('%s touches what rests on it', (operation, change) => {
    expect(about(operation)?.change).toEqual(change)
  })

  it('domain.update touches nothing: no permission rests on a name', () => {
    expect(about('domain.update')).toBeUndefined()
  })

  it('channel.disconnect touches the pairs it names, and all of the domain when it names none', () => {
    const attributes = { client_ids: ['a', 'b'], channel_ids: ['c'] }
    expect(about('channel.disconnect', { attributes })?.change).toEqual({
      domainId: 'domain',
      clientIds: ['a', 'b'],
      channelIds: ['c'],
    })
    expect(about('channel.disconnect')?.change).toEqual({ domainId: 'domain' })
  })

  it.each(['client.create', 'channel.create', 'domain.create', 'user.create', 'invitation.send'])(
    '%s takes nothing from anybody',
    (operation) => {
      expect(about(operation)?.change).toBe('nothing lost')
    },
  )

  it.each(['rule.create', 'constructor.x', '', 'message.publish'])('%j means nothing here', (operation) => {
    expect(about(operation)).toBeUndefined()
  })
})
