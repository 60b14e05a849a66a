/**
 * The example packs of RFC 8428 section 5.1, as JSON text, and what they resolve to at the time given: 5.1.4 as the
 * RFC prints it, the others by its rules.
 */
export interface RfcPack {
  readonly title: string
  readonly json: string
  /** Seconds since the Unix epoch. */
  readonly now: number
  readonly resolved: readonly Record<string, unknown>[]
}

const DEVICE = 'urn:dev:ow:10e2073a01080063'

export const singleDataPoint: RfcPack = {
  title: '5.1.1, a single data point',
  json: '[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]',
  now: 1.498780179e9,
  resolved: [{ n: DEVICE, u: 'Cel', t: 1.498780179e9, v: 23.1 }],
}

export const multipleDataPoints: RfcPack = {
  title: '5.1.2, voltage and current now',
  json: `[
    {"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},
    {"n":"current","u":"A","v":1.2}
  ]`,
  now: 1.498780179e9,
  resolved: [
    { n: `${DEVICE}:voltage`, u: 'V', t: 1.498780179e9, v: 120.1 },
    { n: `${DEVICE}:current`, u: 'A', t: 1.498780179e9, v: 1.2 },
  ],
}

const OTHER_DEVICE = 'urn:dev:ow:10e2073a0108006'

/** Also the pack that section 6 gives in CBOR. Version 5 is there: below 10, so it is understood. */
export const pastSeconds: RfcPack = {
  title: '5.1.2, current at each of the previous five seconds',
  json: `[
    {"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,
     "n":"voltage","u":"V","v":120.1},
    {"n":"current","t":-5,"v":1.2},
    {"n":"current","t":-4,"v":1.3},
    {"n":"current","t":-3,"v":1.4},
    {"n":"current","t":-2,"v":1.5},
    {"n":"current","t":-1,"v":1.6},
    {"n":"current","v":1.7}
  ]`,
  now: 1.498780179e9,
  resolved: [
    { n: `${OTHER_DEVICE}:voltage`, u: 'V', t: 1.276020076001e9, v: 120.1, bver: 5 },
    { n: `${OTHER_DEVICE}:current`, u: 'A', t: 1.276020071001e9, v: 1.2, bver: 5 },
    { n: `${OTHER_DEVICE}:current`, u: 'A', t: 1.276020072001e9, v: 1.3, bver: 5 },
    { n: `${OTHER_DEVICE}:current`, u: 'A', t: 1.276020073001e9, v: 1.4, bver: 5 },
    { n: `${OTHER_DEVICE}:current`, u: 'A', t: 1.276020074001e9, v: 1.5, bver: 5 },
    { n: `${OTHER_DEVICE}:current`, u: 'A', t: 1.276020075001e9, v: 1.6, bver: 5 },
    { n: `${OTHER_DEVICE}:current`, u: 'A', t: 1.276020076001e9, v: 1.7, bver: 5 },
  ],
}

const HUMIDITIES: readonly (readonly [seconds: number, percent: number])[] = [
  [0, 21.2],
  [10, 21.3],
  [20, 21.4],
  [30, 21.4],
  [40, 21.5],
  [50, 21.5],
  [60, 21.5],
  [70, 21.6],
  [80, 21.7],
]

/** The RFC ends it with dots: the stream goes on. */
export const stream: RfcPack = {
  title: '5.1.2, the stream as far as it is printed',
  json: `[
    {"bn":"urn:dev:ow:10e2073a01080063","bt":1.320067464e+09,"bu":"%RH","v":21.2},
    {"t":10,"v":21.3},
    {"t":20,"v":21.4},
    {"t":30,"v":21.4},
    {"t":40,"v":21.5},
    {"t":50,"v":21.5},
    {"t":60,"v":21.5},
    {"t":70,"v":21.6},
    {"t":80,"v":21.7}
  ]`,
  now: 1.498780179e9,
  resolved: HUMIDITIES.map(([t, v]) => ({ n: DEVICE, u: '%RH', t: 1.320067464e9 + t, v })),
}

/** Resolved in the RFC itself, in section 5.1.4. */
export const multipleMeasurements: RfcPack = {
  title: '5.1.3, several measurements of a device on the move',
  json: `[
    {"bn":"urn:dev:ow:10e2073a01080063","bt":1.320067464e+09,"bu":"%RH","v":20},
    {"u":"lon","v":24.30621},
    {"u":"lat","v":60.07965},
    {"t":60,"v":20.3},
    {"u":"lon","t":60,"v":24.30622},
    {"u":"lat","t":60,"v":60.07965},
    {"t":120,"v":20.7},
    {"u":"lon","t":120,"v":24.30623},
    {"u":"lat","t":120,"v":60.07966},
    {"u":"%EL","t":150,"v":98},
    {"t":180,"v":21.2},
    {"u":"lon","t":180,"v":24.30628},
    {"u":"lat","t":180,"v":60.07967}
  ]`,
  now: 1.498780179e9,
  resolved: [
    { n: DEVICE, u: '%RH', t: 1.320067464e9, v: 20 },
    { n: DEVICE, u: 'lon', t: 1.320067464e9, v: 24.30621 },
    { n: DEVICE, u: 'lat', t: 1.320067464e9, v: 60.07965 },
    { n: DEVICE, u: '%RH', t: 1.320067524e9, v: 20.3 },
    { n: DEVICE, u: 'lon', t: 1.320067524e9, v: 24.30622 },
    { n: DEVICE, u: 'lat', t: 1.320067524e9, v: 60.07965 },
    { n: DEVICE, u: '%RH', t: 1.320067584e9, v: 20.7 },
    { n: DEVICE, u: 'lon', t: 1.320067584e9, v: 24.30623 },
    { n: DEVICE, u: 'lat', t: 1.320067584e9, v: 60.07966 },
    { n: DEVICE, u: '%EL', t: 1.320067614e9, v: 98 },
    { n: DEVICE, u: '%RH', t: 1.320067644e9, v: 21.2 },
    { n: DEVICE, u: 'lon', t: 1.320067644e9, v: 24.30628 },
    { n: DEVICE, u: 'lat', t: 1.320067644e9, v: 60.07967 },
  ],
}

export const multipleDataTypes: RfcPack = {
  title: '5.1.5, several data types',
  json: `[
    {"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},
    {"n":"label","vs":"Machine Room"},
    {"n":"open","vb":false},
    {"n":"nfv-reader","vd":"aGkgCg"}
  ]`,
  now: 1.499109309e9,
  resolved: [
    { n: `${DEVICE}:temp`, u: 'Cel', t: 1.499109309e9, v: 23.1 },
    { n: `${DEVICE}:label`, t: 1.499109309e9, vs: 'Machine Room' },
    { n: `${DEVICE}:open`, t: 1.499109309e9, vb: false },
    { n: `${DEVICE}:nfv-reader`, t: 1.499109309e9, vd: 'aGkgCg' },
  ],
}

export const collection: RfcPack = {
  title: '5.1.6, a collection of resources, with two base names',
  json: `[
    {"bn":"2001:db8::2/","bt":1.320078429e+09,"n":"temperature","u":"Cel","v":25.2},
    {"n":"humidity","u":"%RH","v":30},
    {"bn":"2001:db8::1/","n":"temperature","u":"Cel","v":12.3},
    {"n":"humidity","u":"%RH","v":67}
  ]`,
  now: 1.498780179e9,
  resolved: [
    { n: '2001:db8::2/temperature', u: 'Cel', t: 1.320078429e9, v: 25.2 },
    { n: '2001:db8::2/humidity', u: '%RH', t: 1.320078429e9, v: 30 },
    { n: '2001:db8::1/temperature', u: 'Cel', t: 1.320078429e9, v: 12.3 },
    { n: '2001:db8::1/humidity', u: '%RH', t: 1.320078429e9, v: 67 },
  ],
}

export const thermostat: RfcPack = {
  title: '5.1.7, a thermostat, with a base name in a record of its own',
  json: `[
    {"bn":"urn:dev:ow:10e2073a01080063:"},
    {"n":"temp","u":"Cel","v":23.1},
    {"n":"heat","u":"/","v":1},
    {"n":"fan","u":"/","v":0}
  ]`,
  now: 1.498780179e9,
  resolved: [
    { n: `${DEVICE}:temp`, u: 'Cel', t: 1.498780179e9, v: 23.1 },
    { n: `${DEVICE}:heat`, u: '/', t: 1.498780179e9, v: 1 },
    { n: `${DEVICE}:fan`, u: '/', t: 1.498780179e9, v: 0 },
  ],
}

export const twoLights: RfcPack = {
  title: '5.1.7, two lights turned on',
  json: '[{"bt":1.320078429e+09,"bu":"/","n":"2001:db8::3","v":1},{"n":"2001:db8::4","v":1}]',
  now: 1.498780179e9,
  resolved: [
    { n: '2001:db8::3', u: '/', t: 1.320078429e9, v: 1 },
    { n: '2001:db8::4', u: '/', t: 1.320078429e9, v: 1 },
  ],
}

export const dimmedLights: RfcPack = {
  title: '5.1.7, two lights dimmed and, a tenth of a second later, turned off',
  json: `[
    {"bt":1.320078429e+09,"bu":"/","n":"2001:db8::3","v":0.5},
    {"n":"2001:db8::4","v":0.5},
    {"n":"2001:db8::3","t":0.1,"v":0},
    {"n":"2001:db8::4","t":0.1,"v":0}
  ]`,
  now: 1.498780179e9,
  resolved: [
    { n: '2001:db8::3', u: '/', t: 1.320078429e9, v: 0.5 },
    { n: '2001:db8::4', u: '/', t: 1.320078429e9, v: 0.5 },
    { n: '2001:db8::3', u: '/', t: 1.3200784291e9, v: 0 },
    { n: '2001:db8::4', u: '/', t: 1.3200784291e9, v: 0 },
  ],
}

/** Section 2, before and after base names are introduced. */
export const designGoals: readonly RfcPack[] = [
  `[
    {"n":"urn:dev:ow:10e2073a01080063","u":"Cel","t":1.276020076e+09,"v":23.5},
    {"n":"urn:dev:ow:10e2073a01080063","u":"Cel","t":1.276020091e+09,"v":23.6}
  ]`,
  `[
    {"bn":"urn:dev:ow:10e2073a01080063","u":"Cel","t":1.276020076e+09,"v":23.5},
    {"u":"Cel","t":1.276020091e+09,"v":23.6}
  ]`,
].map((json, i) => ({
  title: `2, two measurements ${i === 0 ? 'with their names' : 'with a base name'}`,
  json,
  now: 1.498780179e9,
  resolved: [
    { n: DEVICE, u: 'Cel', t: 1.276020076e9, v: 23.5 },
    { n: DEVICE, u: 'Cel', t: 1.276020091e9, v: 23.6 },
  ],
}))

/** From the working group's own examples: a field that no RFC defines. */
export const withExtension: RfcPack = {
  title: 'a pack with links in a field "l" of an extension',
  json: `[
    {"bn":"urn:dev:ow:10e2073a01080063:","bt":1320078429,
     "l":"[{\\"href\\":\\"humidity\\",\\"foo\\":\\"bar\\"}]","n":"temperature","v":27.2,"u":"Cel"},
    {"n":"humidity","v":80,"u":"%RH"}
  ]`,
  now: 1.498780179e9,
  resolved: [
    {
      n: `${DEVICE}:temperature`,
      u: 'Cel',
      t: 1.320078429e9,
      v: 27.2,
      l: '[{"href":"humidity","foo":"bar"}]',
    },
    { n: `${DEVICE}:humidity`, u: '%RH', t: 1.320078429e9, v: 80 },
  ],
}

export const rfcPacks: readonly RfcPack[] = [
  ...designGoals,
  singleDataPoint,
  multipleDataPoints,
  pastSeconds,
  stream,
  multipleMeasurements,
  multipleDataTypes,
  collection,
  thermostat,
  twoLights,
  dimmedLights,
  withExtension,
]
