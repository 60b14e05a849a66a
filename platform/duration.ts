const UNIT_S: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3_600,
  d: 86_400,
}

const PART = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+$/

/**
 * Reads a duration as Go writes it (`300ms`, `1.5h`, `1h30m`), days too.
 *
 * @returns seconds; `undefined` when it is not one
 */
export function parseDuration(value: string): number | undefined {
  if (!WHOLE.test(value)) return undefined
  let seconds = 0
  for (const [, amount, unit] of value.matchAll(PART)) seconds += Number(amount) * (UNIT_S[unit ?? ''] ?? 0)
  return seconds
}
