import { hash, verify } from '@node-rs/argon2'

// OWASP's recommendation for argon2id: 19 MiB, two passes, one lane. Each check costs an attacker that too.
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

// Checked against when there is no such account, so that an unknown name takes as long as a wrong password.
let decoy: Promise<string> | undefined

export function hashPassword(password: string): Promise<string> {
  return hash(password, PARAMETERS)
}

/** @param stored the argon2id hash, or `undefined` when there is no such account; takes as long either way */
export async function checkPassword(stored: string | undefined, password: string): Promise<boolean> {
  decoy ??= hashPassword('nobody has this password')
  const isRight = await verify(stored ?? (await decoy), password)
  return isRight && stored !== undefined
}
