import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api, Person } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { ADMIN, startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { startSmtpServer } from '../support/smtp.ts'
import type { SmtpServer } from '../support/smtp.ts'
import { SDK } from './magistrala.ts'
import { roleCalls } from './sdk-roles.ts'

/** Magistrala's official TypeScript SDK, unmodified, against a gateway: all its methods but those of later services. */
const COVERED = [
  'Users',
  'Domains',
  'Groups',
  'Clients',
  'Channels',
  'Messages',
  'Journal',
  'Health',
  'PATs',
] as const

let gateway: TestGateway
let mailbox: SmtpServer
let api: Api
let sdk: SDK
let root: string
let owner: Person
let member: Person
let domain: string
const called = new Set<string>()

beforeAll(async () => {
  mailbox = await startSmtpServer()
  gateway = await startTestGateway({ SLUICE_SMTP_URL: mailbox.url })
  api = createApi(gateway.url)
  const url = gateway.url
  sdk = new SDK({
    usersUrl: url,
    channelsUrl: url,
    domainsUrl: url,
    clientsUrl: url,
    groupsUrl: url,
    readersUrl: url,
    httpAdapterUrl: url,
    journalUrl: url,
    authUrl: url,
  })
  recordCalls()
  root = (await api.signIn(ADMIN.username, ADMIN.password)).token
  owner = await api.given.person()
  member = await api.given.person()
  domain = (await api.given.domain(owner.token)).id
  await join(member)
})
afterAll(async () => {
  await gateway.stop()
  await mailbox.stop()
})

const methodsOf = (part: object) =>
  Object.getOwnPropertyNames(Object.getPrototypeOf(part)).filter((name) => name !== 'constructor')

/** Notes which methods the tests below call, so that the last of them can say which they forgot. */
function recordCalls(): void {
  for (const part of COVERED) {
    const methods = sdk[part] as unknown as Record<string, (...args: unknown[]) => unknown>
    for (const name of methodsOf(methods)) {
      const original = methods[name]
      if (!original) continue
      methods[name] = (...args) => {
        called.add(`${part}.${name}`)
        return original.apply(methods, args)
      }
    }
  }
}

/** Takes a person into the domain, as any administrator would: by an invitation that is accepted. */
async function join(person: Person): Promise<void> {
  const role = await sdk.Domains.CreateDomainRole(domain, `r-${person.username}`, owner.token, ['read'])
  await sdk.Domains.SendInvitation(person.id, domain, String(role.id), owner.token)
  await sdk.Domains.AcceptInvitation(domain, person.token)
}

/** The token in the link of the newest mail to an address; each mail is read once. */
async function mailedToken(address: string): Promise<string> {
  const mail = await eventually('a mail', () => {
    const index = mailbox.mails.findIndex((one, at) => !read.has(at) && one.to.includes(address))
    if (index === -1) return undefined
    read.add(index)
    return mailbox.mails[index]
  })
  const [, token = ''] = /[?&]token=([\w.~-]+)/.exec(mail.text) ?? []
  return token
}
const read = new Set<number>()

const page = { offset: 0, limit: 10 }

describe('Users', () => {
  it('creates, signs in, reads and changes', async () => {
    const credentials = { username: 'sdkuser', secret: '12345678' }
    const user = await sdk.Users.Create({
      first_name: 'S',
      last_name: 'D',
      email: 'sdk@example.com',
      credentials,
    })
    const login = await sdk.Users.CreateToken({ username: 'sdkuser', password: '12345678' })
    const { access_token: token } = await sdk.Users.RefreshToken(login.refresh_token)
    expect((await sdk.Users.UserProfile(token)).id).toBe(user.id)
    expect((await sdk.Users.User(String(user.id), token)).email).toBe('sdk@example.com')

    const changed = await sdk.Users.Update({ ...user, first_name: 'New', metadata: { a: 1 } }, token)
    expect(changed).toMatchObject({ first_name: 'New', metadata: { a: 1 } })
    const id = String(user.id)
    expect((await sdk.Users.UpdateEmail({ id, email: 'sdk2@example.com' }, token)).email).toBe(
      'sdk2@example.com',
    )
    const renamed = await sdk.Users.UpdateUsername({ id, credentials: { username: 'sdkuser2' } }, token)
    expect(renamed.credentials?.username).toBe('sdkuser2')
    const picture = 'https://example.com/p.png'
    expect(
      (await sdk.Users.UpdateProfilePicture({ id, profile_picture: picture }, token)).profile_picture,
    ).toBe(picture)
    expect((await sdk.Users.UpdateUserTags({ ...user, id, tags: ['x'] }, token)).tags).toEqual(['x'])
    await sdk.Users.UpdateUserPassword('12345678', 'abcdefgh', token)
    expect(
      (await sdk.Users.CreateToken({ username: 'sdkuser2', password: 'abcdefgh' })).access_token,
    ).toBeDefined()
    expect((await sdk.Users.UpdateUserRole({ ...user, id, role: 'admin' }, root)).role).toBe('admin')
    expect((await sdk.Users.UpdateUserRole({ ...user, id, role: 'user' }, root)).role).toBe('user')
  })

  it('lists, searches, disables, enables and deletes', async () => {
    const person = await api.given.person()
    expect((await sdk.Users.Users({ ...page, username: person.username }, root)).total).toBe(1)
    const found = await sdk.Users.SearchUsers({ ...page, username: person.username }, owner.token)
    expect(found.users[0]?.credentials?.username).toBe(person.username)
    expect((await sdk.Users.Disable(person.id, root)).status).toBe('disabled')
    expect((await sdk.Users.Enable(person.id, root)).status).toBe('enabled')
    await sdk.Users.DeleteUser(person.id, root)
    expect((await api.call('GET', '/users/profile', { token: person.token })).status).toBe(401)
  })

  it('lists what a user has in a domain', async () => {
    const group = await sdk.Groups.CreateGroup({ name: 'ofuser' }, domain, owner.token)
    const client = await sdk.Clients.CreateClient({ name: 'ofuser' }, domain, owner.token)
    const channel = await sdk.Channels.CreateChannel({ name: 'ofuser' }, domain, owner.token)
    const groups = await sdk.Users.ListUserGroups(domain, owner.id, page, owner.token)
    expect(groups.groups.map((one) => one.id)).toContain(group.id)
    const clients = await sdk.Users.ListUserClients(owner.id, domain, page, owner.token)
    expect(clients.clients.map((one) => one.id)).toContain(client.id)
    const channels = await sdk.Users.ListUserChannels(domain, owner.id, page, owner.token)
    expect(channels.channels.map((one) => one.id)).toContain(channel.id)
  })

  it('resets a password and verifies an e-mail through the mailbox', async () => {
    const person = await api.given.person()
    const email = `${person.username}@example.com`
    await sdk.Users.ResetPasswordRequest(email, gateway.url)
    const reset = await mailedToken(email)
    await sdk.Users.ResetPassword('another one', 'another one', reset)
    const { token } = await api.signIn(person.username, 'another one')
    await sdk.Users.SendVerification(token)
    await sdk.Users.VerifyEmail(await mailedToken(email))
    expect((await sdk.Users.UserProfile(token)).verified_at).toBeDefined()
  })
})

describe('Domains', () => {
  it('creates, reads, changes and lists', async () => {
    const created = await sdk.Domains.CreateDomain({ name: 'sdk', route: 'sdk-domain' }, owner.token)
    const id = String(created.id)
    const changed = await sdk.Domains.UpdateDomain({ ...created, name: 'renamed', tags: ['t'] }, owner.token)
    expect(changed).toMatchObject({ name: 'renamed', tags: ['t'], route: 'sdk-domain' })
    expect((await sdk.Domains.Domain(id, owner.token, true)).name).toBe('renamed')
    const ids = (list: { domains: { id?: string }[] }) => list.domains.map((one) => one.id)
    expect(ids(await sdk.Domains.Domains(page, owner.token))).toContain(id)
    expect(ids(await sdk.Domains.ListUserDomains(owner.id, page, owner.token))).toContain(id)
    await sdk.Domains.DisableDomain(id, owner.token)
    expect((await sdk.Domains.Domain(id, owner.token)).status).toBe('disabled')
    await sdk.Domains.EnableDomain(id, owner.token)
    await sdk.Domains.FreezeDomain(id, root)
    expect((await sdk.Domains.Domain(id, root)).status).toBe('freezed')
  })

  it('invites, accepts, rejects and takes back', async () => {
    const guest = await api.given.person()
    const role = await sdk.Domains.CreateDomainRole(domain, 'guests', owner.token, ['read'])
    const invite = (resend?: boolean) =>
      sdk.Domains.SendInvitation(guest.id, domain, String(role.id), owner.token, resend)
    await invite()
    expect((await sdk.Domains.ViewInvitation(guest.id, domain, owner.token)).role_id).toBe(role.id)
    const ofDomain = await sdk.Domains.ListDomainInvitations(
      { ...page, state: 'pending' },
      domain,
      owner.token,
    )
    expect(ofDomain.invitations.map((one) => one.invitee_user_id)).toContainEqual(guest.id)
    expect((await sdk.Domains.ListUserInvitations(page, guest.token)).total).toBe(1)
    await sdk.Domains.RejectInvitation(domain, guest.token)
    await invite(true)
    await sdk.Domains.DeleteInvitation(guest.id, domain, owner.token)
    expect((await sdk.Domains.ListUserInvitations(page, guest.token)).total).toBe(0)
  })
})

describe.each(['Domain', 'Group', 'Client', 'Channel'] as const)('roles of a %s', (kind) => {
  it('are made, read, changed, given and taken', async () => {
    const { id } =
      kind === 'Domain'
        ? { id: domain }
        : kind === 'Group'
          ? await sdk.Groups.CreateGroup({ name: 'roles' }, domain, owner.token)
          : kind === 'Client'
            ? await sdk.Clients.CreateClient({ name: 'roles' }, domain, owner.token)
            : await sdk.Channels.CreateChannel({ name: 'roles' }, domain, owner.token)
    const roles = roleCalls(sdk, kind, String(id), domain, owner.token)
    expect(await roles.listActions()).toContain('update')
    // In the domain the member has a role already, and a user holds one role an entity.
    const user = kind === 'Domain' ? await api.given.person() : member
    const role = (await roles.create('watchers', ['read'], [user.id])).id
    expect(await roles.view(role)).toMatchObject({ id: role, name: 'watchers' })
    expect(await roles.list()).toMatchObject({ total: kind === 'Domain' ? expect.any(Number) : 2 })
    expect(await roles.rename(role, 'lookers')).toMatchObject({ name: 'lookers' })
    await roles.addActions(role, ['update', 'delete'])
    expect(await roles.actions(role)).toEqual(expect.arrayContaining(['read', 'update', 'delete']))
    await roles.removeActions(role, ['delete'])
    expect(await roles.actions(role)).not.toContain('delete')
    expect(await roles.members(role)).toMatchObject({ members: [user.id] })
    const entityMembers = (await roles.entityMembers()) as { members: { member_id: string }[] }
    expect(entityMembers.members.map((one) => one.member_id)).toContain(user.id)
    await roles.removeMembers(role, [user.id])
    if (kind === 'Domain') await roles.addMembers(role, [user.id])
    else expect(await roles.addMembers(role, [user.id])).toEqual([user.id])
    await roles.removeAllMembers(role)
    expect(await roles.members(role)).toMatchObject({ total: 0 })
    await roles.removeAllActions(role)
    expect(await roles.actions(role)).toEqual([])
    await roles.remove(role)
  })
})

describe('Groups', () => {
  it('are made, changed and moved', async () => {
    const make = async (name: string) =>
      String((await sdk.Groups.CreateGroup({ name }, domain, owner.token)).id)
    const [top, middle, leaf] = [await make('top'), await make('middle'), await make('leaf')]
    const changed = await sdk.Groups.UpdateGroup(
      { id: top, name: 'top2', metadata: { a: 1 } },
      domain,
      owner.token,
    )
    expect(changed).toMatchObject({ name: 'top2', metadata: { a: 1 } })
    expect((await sdk.Groups.UpdateGroupTags({ id: top, tags: ['x'] }, domain, owner.token)).tags).toEqual([
      'x',
    ])
    await sdk.Groups.AddParentGroup(middle, domain, top, owner.token)
    await sdk.Groups.AddChildrenGroups(middle, domain, [leaf], owner.token)
    expect((await sdk.Groups.Group(leaf, domain, owner.token)).path).toBe(`${top}.${middle}.${leaf}`)
    const hierarchy = await sdk.Groups.RetrieveGroupHierarchy(
      top,
      domain,
      { level: 0, tree: true, direction: -1 },
      owner.token,
    )
    expect(hierarchy.groups).toMatchObject([
      { id: top, children: [{ id: middle, children: [{ id: leaf }] }] },
    ])
    const children = await sdk.Groups.ListChildrenGroups(top, domain, page, owner.token)
    expect(children.groups.map((one) => one.id)).toEqual([middle])
    await sdk.Groups.RemoveChildrenGroups(middle, domain, [leaf], owner.token)
    await sdk.Groups.RemoveParentGroup(middle, domain, owner.token)
    await sdk.Groups.AddChildrenGroups(top, domain, [middle, leaf], owner.token)
    await sdk.Groups.RemoveAllChildrenGroups(top, domain, owner.token)
    expect((await sdk.Groups.ListChildrenGroups(top, domain, page, owner.token)).total).toBe(0)
    expect((await sdk.Groups.DisableGroup(top, domain, owner.token)).status).toBe('disabled')
    expect((await sdk.Groups.EnableGroup(top, domain, owner.token)).status).toBe('enabled')
    await sdk.Groups.DeleteGroup(leaf, domain, owner.token)
    const names = (await sdk.Groups.Groups({ ...page, name: 'top2' }, domain, owner.token)).groups.map(
      (one) => one.id,
    )
    expect(names).toEqual([top])
  })
})

describe('Clients', () => {
  it('are made, changed, put into groups and deleted', async () => {
    const client = await sdk.Clients.CreateClient(
      { name: 'c', credentials: { secret: 'sdk secret' } },
      domain,
      owner.token,
    )
    const id = String(client.id)
    expect(client.credentials?.secret).toBe('sdk secret')
    const several = await sdk.Clients.CreateClients([{ name: 'b1' }, { name: 'b2' }], domain, owner.token)
    expect(several.clients.map((one) => one.name)).toEqual(['b1', 'b2'])
    const changed = await sdk.Clients.UpdateClient(
      { id, name: 'c2', metadata: { a: 1 } },
      domain,
      owner.token,
    )
    expect(changed).toMatchObject({ name: 'c2', metadata: { a: 1 } })
    const rotated = await sdk.Clients.UpdateClientSecret(
      { id, credentials: { secret: 'newer' } },
      domain,
      owner.token,
    )
    expect(rotated.credentials?.secret).toBe('newer')
    expect((await sdk.Clients.UpdateClientTags({ id, tags: ['x'] }, domain, owner.token)).tags).toEqual(['x'])
    expect((await sdk.Clients.Disable(id, domain, owner.token)).status).toBe('disabled')
    expect((await sdk.Clients.Enable(id, domain, owner.token)).status).toBe('enabled')
    const group = String((await sdk.Groups.CreateGroup({ name: 'parent' }, domain, owner.token)).id)
    await sdk.Clients.setClientParentGroup(domain, id, group, owner.token)
    expect((await sdk.Clients.Client(id, domain, owner.token, true)).parent_group_id).toBe(group)
    await sdk.Clients.DeleteClientParentGroup(domain, id, owner.token)
    expect((await sdk.Clients.Clients({ ...page, name: 'c2' }, domain, owner.token)).total).toBe(1)
    await sdk.Clients.DeleteClient(id, domain, owner.token)
    expect((await sdk.Clients.Clients({ ...page, name: 'c2' }, domain, owner.token)).total).toBe(0)
  })
})

describe('Channels and messages', () => {
  it('are made, changed, connected, written and read', async () => {
    const channel = await sdk.Channels.CreateChannel({ name: 'ch' }, domain, owner.token)
    const id = String(channel.id)
    const [other] = (await sdk.Channels.CreateChannels([{ name: 'b1' }], domain, owner.token)).channels
    const changed = await sdk.Channels.UpdateChannelNameAndMetadata(
      { id, name: 'ch2', metadata: { a: 1 } },
      domain,
      owner.token,
    )
    expect(changed).toMatchObject({ name: 'ch2', metadata: { a: 1 } })
    expect((await sdk.Channels.UpdateChannelTags({ id, tags: ['x'] }, domain, owner.token)).tags).toEqual([
      'x',
    ])
    expect((await sdk.Channels.DisableChannel(id, domain, owner.token)).status).toBe('disabled')
    expect((await sdk.Channels.EnableChannel(id, domain, owner.token)).status).toBe('enabled')
    const group = String((await sdk.Groups.CreateGroup({ name: 'parent' }, domain, owner.token)).id)
    await sdk.Channels.SetChannelParentGroup(domain, id, group, owner.token)
    expect((await sdk.Channels.Channel(id, domain, owner.token, true)).parent_group_id).toBe(group)
    await sdk.Channels.DeleteChannelParentGroup(domain, id, owner.token)
    expect((await sdk.Channels.Channels({ ...page, name: 'ch2' }, domain, owner.token)).total).toBe(1)

    const client = await sdk.Clients.CreateClient({ name: 'sender' }, domain, owner.token)
    const clientId = String(client.id)
    const both = ['publish', 'subscribe']
    await sdk.Channels.Connect([clientId], [id], both, domain, owner.token)
    await sdk.Channels.ConnectClient([clientId], String(other?.id), both, domain, owner.token)
    const text = '[{"bn":"demo:","n":"voltage","u":"V","v":5}]'
    await sdk.Messages.Send(domain, `${id}.floor.one`, text, String(client.credentials?.secret))
    const read = await eventually('the message is stored', async () => {
      const found = await sdk.Messages.Read(domain, id, { offset: 0, limit: 10 }, owner.token)
      return found.total === 1 && found
    })
    expect(read.messages).toMatchObject([{ name: 'demo:voltage', value: 5, subtopic: 'floor/one' }])
    await sdk.Channels.Disconnect([clientId], [id], both, domain, owner.token)
    await sdk.Channels.DisconnectClient([clientId], String(other?.id), both, domain, owner.token)

    const telemetry = await sdk.Journal.ClientTelemetry(clientId, domain, owner.token)
    expect(telemetry).toMatchObject({ client_id: clientId, domain_id: domain, inbound_messages: 1 })
    await sdk.Channels.DeleteChannel(id, domain, owner.token)
    expect((await sdk.Channels.Channels({ ...page, name: 'ch2' }, domain, owner.token)).total).toBe(0)
  })
})

describe('Journal', () => {
  it('tells what was done to an entity, and by a user', async () => {
    const client = await sdk.Clients.CreateClient({ name: 'journaled' }, domain, owner.token)
    const query = { ...page, with_attributes: true, with_metadata: true } as never
    const ofEntity = await sdk.Journal.EntityJournals('client', String(client.id), domain, query, owner.token)
    expect(ofEntity.journals.map((one) => one.operation)).toContain('client.create')
    const ofUser = await sdk.Journal.UserJournals(owner.id, query, root)
    expect(ofUser.total).toBeGreaterThan(0)
  })
})

describe('Personal access tokens', () => {
  it('are made, scoped, used, renewed and revoked', async () => {
    const pat = await sdk.PATs.CreatePAT('ci', '24h', owner.token, 'for tests')
    const id = String(pat.id)
    const list = (token: string) => api.call('GET', `/${domain}/clients`, { token })
    expect((await list(String(pat.secret))).status).toBe(403)
    const scope = { entity_type: 'clients', domain_id: domain, entity_id: '*', operation: 'list' } as const
    await sdk.PATs.AddScope([scope, { ...scope, operation: 'view' }], id, owner.token)
    expect((await list(String(pat.secret))).status).toBe(200)
    const scopes = await sdk.PATs.ListScopes(id, page, owner.token)
    expect(scopes.total).toBe(2)
    expect((await sdk.PATs.UpdateName('ci2', id, owner.token)).name).toBe('ci2')
    expect((await sdk.PATs.UpdateDescription('new', id, owner.token)).description).toBe('new')
    expect((await sdk.PATs.ViewPAT(id, owner.token)).name).toBe('ci2')
    expect((await sdk.PATs.ListPATS(page, owner.token)).total).toBe(1)
    const renewed = await sdk.PATs.ResetSecret('48h', id, owner.token)
    expect((await list(String(pat.secret))).status).toBe(401)
    expect((await list(String(renewed.secret))).status).toBe(200)
    await sdk.PATs.DeleteScopes(id, [String(scopes.scopes[0]?.id)], owner.token)
    await sdk.PATs.DeleteAllScopes(id, owner.token)
    expect((await sdk.PATs.ListScopes(id, page, owner.token)).total).toBe(0)
    await sdk.PATs.RevokePAT(id, owner.token)
    expect((await list(String(renewed.secret))).status).toBe(401)
    await sdk.PATs.DeletePAT(id, owner.token)
    await sdk.PATs.DeleteAllPATs(owner.token)
    expect((await sdk.PATs.ListPATS(page, owner.token)).total).toBe(0)
  })
})

describe('Health', () => {
  it.each(['users', 'clients', 'channels', 'reader', 'http-adapter', 'journal', 'domains', 'groups', 'pats'])(
    'of %s passes',
    async (service) => {
      expect((await sdk.Health.Health(service)).status).toBe('pass')
    },
  )
})

describe('these tests', () => {
  it('have called every method of the SDK that there is a service for', () => {
    const all = COVERED.flatMap((part) => methodsOf(sdk[part]).map((name) => `${part}.${name}`))
    expect(all.filter((name) => !called.has(name))).toEqual([])
  })
})
