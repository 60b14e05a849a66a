/**
 * The start cannot go on, and the person who typed the command can do something about it. The message is the one sentence
 * that is printed; there is no stack to show.
 */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** Why a port cannot be opened, and which variable moves it. */
export function explainPort(error: unknown, port: number, variable: string): StartError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const reason =
    code === 'EADDRINUSE'
      ? 'is taken by another process; stop that one'
      : code === 'EACCES'
        ? 'may not be opened by this user; choose one above 1023'
        : `cannot be opened (${error instanceof Error ? error.message : String(error)}); choose another`
  return new StartError(`Port ${port} ${reason} or set ${variable}.`, { cause: error })
}
