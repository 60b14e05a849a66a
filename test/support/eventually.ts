/**
 * Waits for a condition: asks until it holds.
 *
 * @returns what the question answered when it was neither false nor nothing
 * @throws when it does not hold for that long
 */
export async function eventually<T>(
  what: string,
  question: () => Promise<T | undefined | false> | T | undefined | false,
  withinMs = 15_000,
): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const answer = await question()
    if (answer !== undefined && answer !== false) return answer
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
