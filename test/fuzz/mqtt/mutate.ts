import { variable } from '../../support/mqtt-packets.ts'
import { pick } from './random.ts'
import type { Random } from './random.ts'
import { assemble } from './sessions.ts'
import type { Parts } from './sessions.ts'

/** A packet on its way to be sent. Damage to the bytes is not undone by damage to the parts, which starts from whole ones. */
interface Entry {
  readonly parts: Parts
  bytes: Buffer
}

type Mutation = (entries: Entry[], at: number, random: Random, other: readonly Parts[]) => void

/** Bytes that often mean something else to a reader of lengths and flags. */
const TELLING = [0x00, 0x01, 0x7f, 0x80, 0xff]

/** What follows the fixed header; whatever is there, when the packet is damaged already. */
function bodyOf(bytes: Buffer): Buffer {
  let at = 1
  while (at < 5 && (bytes[at] ?? 0) >= 0x80) at += 1
  return bytes.subarray(at + 1)
}

/** The packet with another body, and a length that agrees: the damage is behind the fixed header. */
function reframe(bytes: Buffer, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes[0] ?? 0, ...variable(body.length)]), body])
}

function damage(entry: Entry, change: (bytes: Buffer) => Buffer): void {
  entry.bytes = change(Buffer.from(entry.bytes))
}

function withProperties(entry: Entry, change: (properties: (readonly number[])[]) => void): void {
  const properties = [...(entry.parts.properties ?? [])]
  change(properties)
  entry.bytes = assemble({ ...entry.parts, properties })
}

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'bit flipped': (entries, at, random) => {
    damage(entries[at] as Entry, (bytes) => {
      const index = random(bytes.length)
      bytes[index] = (bytes[index] ?? 0) ^ (1 << random(8))
      return bytes
    })
  },
  'byte replaced': (entries, at, random) => {
    damage(entries[at] as Entry, (bytes) => {
      bytes[random(bytes.length)] = random(2) === 0 ? random(256) : pick(random, TELLING)
      return bytes
    })
  },
  'byte inserted': (entries, at, random) => {
    damage(entries[at] as Entry, (bytes) => {
      const index = random(bytes.length + 1)
      return Buffer.concat([bytes.subarray(0, index), Buffer.from([random(256)]), bytes.subarray(index)])
    })
  },
  'cut short': (entries, at, random) => {
    damage(entries[at] as Entry, (bytes) => bytes.subarray(0, random(bytes.length)))
  },
  'cut short, length right': (entries, at, random) => {
    damage(entries[at] as Entry, (bytes) => {
      const body = bodyOf(bytes)
      return reframe(bytes, body.subarray(0, random(body.length + 1)))
    })
  },
  'length of the packet wrong': (entries, at, random) => {
    damage(entries[at] as Entry, (bytes) => {
      const body = bodyOf(bytes)
      const lies = [0, Math.max(0, body.length - 1), body.length + 1, random(2 ** 14), 2 ** 24, 2 ** 28 - 1]
      return Buffer.concat([Buffer.from([bytes[0] ?? 0, ...variable(pick(random, lies))]), body])
    })
  },
  'length inside wrong': (entries, at, random) => {
    damage(entries[at] as Entry, (bytes) => {
      const body = Buffer.from(bodyOf(bytes))
      // Lengths of strings are two bytes; those that are none are damaged likewise.
      if (body.length >= 2)
        body.writeUInt16BE(pick(random, [0, 1, body.length, 0x7fff, 0xffff]), random(body.length - 1))
      return reframe(bytes, body)
    })
  },
  'bytes of another spliced in': (entries, at, random, other) => {
    damage(entries[at] as Entry, (bytes) => {
      const foreign = assemble(pick(random, other))
      const whole = Buffer.concat([
        bytes.subarray(0, random(bytes.length + 1)),
        foreign.subarray(random(foreign.length)),
      ])
      return random(2) === 0 ? whole : reframe(whole, bodyOf(whole))
    })
  },
  'packet of another version': (entries, at, random, other) => {
    const parts = pick(random, other)
    entries.splice(at, 0, { parts, bytes: assemble(parts) })
  },
  'packet twice': (entries, at) => {
    entries.splice(at, 0, { ...(entries[at] as Entry) })
  },
  'packets exchanged': (entries, at, random) => {
    const to = random(entries.length)
    ;[entries[at], entries[to]] = [entries[to] as Entry, entries[at] as Entry]
  },
  'packet left out': (entries, at) => {
    if (entries.length > 1) entries.splice(at, 1)
  },
  'properties shuffled': (entries, at, random) => {
    withProperties(entries[at] as Entry, (properties) => {
      for (let index = properties.length - 1; index > 0; index -= 1) {
        const to = random(index + 1)
        ;[properties[index], properties[to]] = [properties[to] ?? [], properties[index] ?? []]
      }
    })
  },
  'property twice': (entries, at, random) => {
    withProperties(entries[at] as Entry, (properties) => {
      if (properties.length > 0) properties.push(pick(random, properties))
    })
  },
  'property of another packet': (entries, at, random) => {
    const donor = pick(random, entries).parts.properties ?? []
    withProperties(entries[at] as Entry, (properties) => {
      if (donor.length > 0) properties.splice(random(properties.length + 1), 0, pick(random, donor))
    })
  },
}

export const MUTATION_NAMES = Object.keys(MUTATIONS)

/**
 * Damages a session in a few places. Half of the time CONNECT is spared, so that much of it happens behind
 * authentication.
 *
 * @param other packets that do not belong into this session
 * @returns the packets, and what was done to them
 */
export function mutate(
  session: readonly Parts[],
  other: readonly Parts[],
  random: Random,
): { packets: Buffer[]; mutations: string[] } {
  const entries: Entry[] = session.map((parts) => ({ parts, bytes: assemble(parts) }))
  const spared = random(2)
  const mutations: string[] = []
  for (let times = 1 + random(4); times > 0; times -= 1) {
    if (entries.length <= spared) break
    const at = spared + random(entries.length - spared)
    if ((entries[at] as Entry).bytes.length === 0) continue
    const name = pick(random, MUTATION_NAMES)
    MUTATIONS[name]?.(entries, at, random, other)
    mutations.push(name)
  }
  return { packets: entries.map(({ bytes }) => bytes), mutations }
}
