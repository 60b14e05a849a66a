/**
 * The same text in memory of its own. What is cut from a longer text keeps all of it alive (V8's sliced strings): who
 * remembers an id out of a header block, or a path out of a request's head, remembers all that stood around it too.
 *
 * @param text well formed; half of a surrogate pair would become U+FFFD
 */
export function ownText(text: string): string {
  return Buffer.from(text).toString()
}
