/**
 * The start cannot go on, and the person who typed the command can do something about it. The message is the one sentence
 * that is printed; there is no stack to show.
 */
export class StartError extends Error {
  override readonly name = 'StartError'
}
