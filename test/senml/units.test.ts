import { describe, expect, it } from 'vitest'
import { fromJsonValue } from '../../senml/parse.ts'
import { convertFromPrimary, convertToPrimary, findUnit, UNITS } from '../../senml/units.ts'

describe('the registry of units', () => {
  it('holds 58 units of RFC 8428, and of RFC 8798 8 primary and 33 secondary ones, each once', () => {
    const count = (reference: string, isSecondary: boolean) =>
      UNITS.filter((unit) => unit.reference === reference && (unit.conversion !== undefined) === isSecondary)
        .length

    expect(count('RFC 8428', false)).toBe(58)
    expect(count('RFC 8798', false)).toBe(8)
    expect(count('RFC 8798', true)).toBe(33)
    expect(new Set(UNITS.map(({ symbol }) => symbol)).size).toBe(UNITS.length)
  })

  it('says what a unit is called, and whether another should be used', () => {
    expect(findUnit('Cel')).toEqual({
      symbol: 'Cel',
      name: 'degrees Celsius',
      isDiscouraged: false,
      reference: 'RFC 8428',
    })
    expect(findUnit('l/s')).toMatchObject({ name: 'liter per second (flow rate)', isDiscouraged: true })
    expect(findUnit('kWh')).toMatchObject({ name: 'kilowatt-hour', reference: 'RFC 8798' })
  })

  it('tells upper from lower case', () => {
    expect(findUnit('S')?.name).toBe('siemens')
    expect(findUnit('s')?.name).toBe('second')
    expect(findUnit('cel')).toBeUndefined()
  })

  it('makes every secondary unit one of a primary unit that it holds', () => {
    for (const { conversion } of UNITS) {
      if (conversion === undefined) continue
      expect(findUnit(conversion.primary)).toBeDefined()
      expect(findUnit(conversion.primary)?.conversion).toBeUndefined()
    }
  })
})

describe('converting to the primary unit', () => {
  it.each([
    [1500, 'mV', 1.5, 'V'],
    [3, 'ms', 0.003, 's'],
    [2, 'h', 7200, 's'],
    [1.5, 'kWh', 5400000, 'J'],
    [36, 'km/h', 10, 'm/s'],
    [0, 'dBm', -30, 'dBW'],
    [42, '/100', 0.42, '/'],
    [7, '/1000', 0.007, '/'],
    [400, 'ppm', 0.0004, '/'],
    [35, 'ug/m3', 35e-9, 'kg/m3'],
    [1013.25, 'hPa', 101325, 'Pa'],
    [2, 'KiB', 2048, 'B'],
    [10, 'Wh/km', 36, 'J/m'],
    [3600000, 'mm/h', 1, 'm/s'],
  ])('makes of %d %s %d %s', (value, unit, primary, symbol) => {
    expect(convertToPrimary(value, unit)).toEqual({ value: primary, unit: symbol })
  })

  it.each([
    [23.1, 'Cel'],
    [1, 'furlong'],
    [1, ''],
    [1, 'constructor'],
  ])('leaves %d %s as it is, the unit being primary or unknown', (value, unit) => {
    expect(convertToPrimary(value, unit)).toEqual({ value, unit })
  })
})

describe('converting from the primary unit', () => {
  it('is the way back', () => {
    expect(convertFromPrimary(1.5, 'V', 'mV')).toBe(1500)
    expect(convertFromPrimary(-30, 'dBW', 'dBm')).toBe(0)
    expect(convertFromPrimary(10, 'm/s', 'km/h')).toBe(36)
    expect(convertFromPrimary(1, 'furlong', 'furlong')).toBe(1)
  })

  it('is not there between units of different kinds', () => {
    expect(convertFromPrimary(1, 'V', 'mA')).toBeUndefined()
    expect(convertFromPrimary(1, 'mV', 'V')).toBeUndefined()
    expect(convertFromPrimary(1, 'V', 'furlong')).toBeUndefined()
  })
})

describe('a record with a unit that nobody registered', () => {
  it('is as good as any', () => {
    expect(fromJsonValue([{ n: 'a', u: 'furlong/fortnight', v: 1 }])).toHaveLength(1)
  })
})
