/** A signed-in person, as every service method takes it first. */
export interface Principal {
  readonly userId: string
  /** Passes every check without membership (contract A.4). */
  readonly isSuperadmin: boolean
}
