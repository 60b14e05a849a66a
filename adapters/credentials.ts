import type { Presented } from '../platform/http/credentials.ts'
import type { Credentials } from './authority.ts'

/** @param domainId where a bare secret counts; other credentials need none */
export function toCredentials(presented: Presented, domainId: string): Credentials {
  return presented.kind === 'secret' ? { kind: 'secret', domainId, secret: presented.secret } : presented
}
