/** A person who administers. */
export interface User {
  readonly id: string
  readonly username: string
  readonly email: string
  readonly firstName: string
  readonly lastName: string
  readonly role: 'user' | 'admin'
  readonly status: 'enabled' | 'disabled' | 'deleted'
  readonly tags: readonly string[]
  readonly metadata: Record<string, unknown>
  readonly privateMetadata: Record<string, unknown>
  readonly profilePicture: string
  readonly authProvider: string
  readonly verifiedAt: Date | null
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly updatedBy: string | null
}

export interface NewUser extends Pick<
  User,
  'username' | 'email' | 'firstName' | 'lastName' | 'tags' | 'metadata' | 'privateMetadata' | 'profilePicture'
> {
  readonly password: string
  /** Wishes that count for a superadmin alone (contract 3, D18). */
  readonly role: 'user' | 'admin' | undefined
  readonly status: 'enabled' | 'disabled' | undefined
}
