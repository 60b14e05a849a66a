import { RFC8428_UNITS, RFC8798_PRIMARY_UNITS, RFC8798_SECONDARY_UNITS } from './unit-registry.ts'

/** How a secondary unit becomes its primary one: value × multiplier ÷ divisor + offset. */
export interface UnitConversion {
  /** Symbol of the primary unit. */
  readonly primary: string
  readonly multiplier: number
  readonly divisor: number
  readonly offset: number
}

/** A registered unit. */
export interface Unit {
  /** What stands in `u`; upper and lower case differ. */
  readonly symbol: string
  /** What it is called in English. */
  readonly name: string
  /** Whether new producers should use another unit for it (the asterisk in the RFCs). */
  readonly isDiscouraged: boolean
  readonly reference: 'RFC 8428' | 'RFC 8798'
  /** There for secondary units alone. */
  readonly conversion?: UnitConversion
}

/** Primary units of RFC 8428 (section 12.1) and RFC 8798, and its secondary units, in the order of the RFCs. */
export const UNITS: readonly Unit[] = [
  ...RFC8428_UNITS.map(([symbol, name, discouraged]): Unit => {
    return { symbol, name, isDiscouraged: discouraged !== undefined, reference: 'RFC 8428' }
  }),
  ...RFC8798_PRIMARY_UNITS.map(([symbol, name, discouraged]): Unit => {
    return { symbol, name, isDiscouraged: discouraged !== undefined, reference: 'RFC 8798' }
  }),
  ...RFC8798_SECONDARY_UNITS.map(([symbol, name, primary, multiplier, divisor, offset]): Unit => {
    const conversion = { primary, multiplier, divisor, offset }
    return { symbol, name, isDiscouraged: false, reference: 'RFC 8798', conversion }
  }),
]

const BY_SYMBOL: ReadonlyMap<string, Unit> = new Map(UNITS.map((unit) => [unit.symbol, unit]))

/** The registered unit of a symbol; undefined for any other, which records may carry all the same. */
export function findUnit(symbol: string): Unit | undefined {
  return BY_SYMBOL.get(symbol)
}

/** A number and the unit it is in. */
export interface Quantity {
  readonly value: number
  /** Symbol, registered or not. */
  readonly unit: string
}

/**
 * Converts a value to the primary unit of its kind (RFC 8798): 1500 `mV` is 1.5 `V`. A value in a primary
 * unit, or in one that is not registered, comes back as it is.
 */
export function convertToPrimary(value: number, unit: string): Quantity {
  const conversion = BY_SYMBOL.get(unit)?.conversion
  if (conversion === undefined) return { value, unit }
  const { primary, multiplier, divisor, offset } = conversion
  return { value: (value * multiplier) / divisor + offset, unit: primary }
}

/**
 * Converts a value to a secondary unit, for people to read: 1.5 from `V` to `mV` is 1500.
 *
 * @returns undefined if `to` is neither `from` nor a secondary unit of it
 */
export function convertFromPrimary(value: number, from: string, to: string): number | undefined {
  if (from === to) return value
  const conversion = BY_SYMBOL.get(to)?.conversion
  if (conversion?.primary !== from) return undefined
  return ((value - conversion.offset) * conversion.divisor) / conversion.multiplier
}
