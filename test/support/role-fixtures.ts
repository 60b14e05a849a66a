import type { Api, Person } from './api.ts'

export type EntityType = 'domain' | 'group' | 'client' | 'channel'

export interface Place {
  readonly owner: Person
  readonly domain: { readonly id: string }
  /** Of the entity's roles. */
  readonly path: string
  readonly entityId: string
}

/** Entities and roles on them, as tests of roles begin. */
export function createRoleFixtures(api: Api) {
  const fixtures = {
    /** An entity of the type, with its owner and its domain. */
    async place(type: EntityType): Promise<Place> {
      const owner = await api.given.person()
      const domain = await api.given.domain(owner.token)
      if (type === 'domain')
        return { owner, domain, path: `/domains/${domain.id}/roles`, entityId: domain.id }
      const entityId = await fixtures.entity(owner.token, domain.id, type)
      return { owner, domain, path: `/${domain.id}/${type}s/${entityId}/roles`, entityId }
    },

    /** @returns its id */
    async entity(token: string, domainId: string, type: Exclude<EntityType, 'domain'>): Promise<string> {
      const path = `/${domainId}/${type}s`
      return (await api.expect(201, 'POST', path, { token, body: { name: 'it' } })).body.id
    },

    /** @param path of the entity's roles */
    async role(
      token: string,
      path: string,
      role_name: string,
      optional_actions?: string[],
      members?: string[],
    ) {
      const body = { role_name, optional_actions, optional_members: members }
      return (await api.expect(201, 'POST', path, { token, body })).body
    },

    /** A person who belongs to the domain with nothing but that. */
    async memberOf({ owner, domain }: Pick<Place, 'owner' | 'domain'>): Promise<Person> {
      const person = await api.given.person()
      await fixtures.role(owner.token, `/domains/${domain.id}/roles`, `of ${person.id}`, [], [person.id])
      return person
    },
  }
  return fixtures
}
