import { packet, text, variable } from '../../support/mqtt-packets.ts'
import type { Version } from '../../support/mqtt-packets.ts'
import { pick } from './random.ts'
import type { Random } from './random.ts'

/** A client that may sign in, and a topic that it may use. */
export interface Actor {
  readonly id: string
  readonly secret: string
  readonly topic: string
}

/** A packet taken apart where its properties stand, which are shuffled as a whole. */
export interface Parts {
  readonly first: number
  readonly head: readonly number[]
  /** One entry a property; `undefined` before MQTT 5. */
  readonly properties: readonly (readonly number[])[] | undefined
  readonly tail: readonly number[]
}

export function assemble({ first, head, properties, tail }: Parts): Buffer {
  const block = properties?.flat()
  return Buffer.from(packet(first, ...head, ...(block ? [...variable(block.length), ...block] : []), ...tail))
}

const uint16 = (value: number): number[] => [value >> 8, value & 0xff]
const uint32 = (value: number): number[] => [...uint16(value >>> 16), ...uint16(value & 0xffff)]

const userProperties = [
  [0x26, ...text('site'), ...text('north')],
  [0x26, ...text('site'), ...text('ünïcode')],
]
const reasonString = [0x1f, ...text('because')]

/** Properties of a message, in a PUBLISH or a will. */
function messageProperties(topic: string): number[][] {
  return [
    [0x01, 1],
    [0x02, ...uint32(60)],
    [0x03, ...text('application/senml+json')],
    [0x08, ...text(topic)],
    [0x09, ...text([0, 1, 2, 255])],
    ...userProperties,
  ]
}

/**
 * What a well-behaved client sends over one connection, with a packet of every kind. MQTT 3.1 is 3.1.1 with another name.
 *
 * @param name MQTT client identifier
 */
export function recordSession(version: Version, actor: Actor, name: string, random: Random): Parts[] {
  const is5 = version === 5
  const { topic } = actor
  const with5 = (properties: readonly (readonly number[])[]) => (is5 ? properties : undefined)
  const parts = (
    first: number,
    head: readonly number[],
    properties: readonly (readonly number[])[],
    ...tail: number[]
  ): Parts => ({ first, head, properties: with5(properties), tail })
  const plain = (first: number, ...head: number[]): Parts => ({
    first,
    head,
    properties: undefined,
    tail: [],
  })
  const ack = (first: number, id: number): Parts =>
    is5 && random(2) === 0
      ? parts(first, [...uint16(id), 0], [reasonString, ...userProperties])
      : plain(first, ...uint16(id))

  const willProperties = [[0x18, ...uint32(1)], ...messageProperties(topic)].flat()
  const will = [
    ...(is5 ? [...variable(willProperties.length), ...willProperties] : []),
    ...text(`${topic}/will`),
    ...text('gone'),
  ]
  const hasWill = random(2) === 0
  const isClean = random(2) === 0
  const flags = 0xc0 | (hasWill ? 0x2c : 0) | (isClean ? 0x02 : 0)
  const senml = [...Buffer.from('[{"n":"t","u":"Cel","v":21.5}]')]
  const levels = ['', '/a', '/a/b', '//', '/ä']
  const publish = (qos: number, id: number, extra: readonly (readonly number[])[] = []): Parts => {
    const first = 0x30 | (qos << 1) | random(2)
    const head = [...text(topic + pick(random, levels)), ...(qos > 0 ? uint16(id) : [])]
    return parts(first, head, [...(random(2) === 0 ? messageProperties(topic) : []), ...extra], ...senml)
  }
  const filters = [`${topic}/#`, topic, `${topic}/+/b`, '#', `$share/g/${topic}`]

  return [
    parts(
      0x10,
      [...text(version === 3 ? 'MQIsdp' : 'MQTT'), version, flags, ...uint16(random(3) * 30)],
      [
        [0x11, ...uint32(random(3))],
        [0x21, 0, 5],
        [0x22, 0, 9],
        [0x27, 0, 1, 0, 0],
        [0x17, 1],
        ...userProperties,
      ],
      ...text(name),
      ...(hasWill ? will : []),
      ...text(actor.id),
      ...text(actor.secret),
    ),
    parts(
      0x82,
      uint16(1),
      [[0x0b, 4], ...userProperties],
      ...filters.flatMap((filter, index) => [...text(filter), index % 3]),
    ),
    publish(0, 0),
    publish(1, 2, [[0x23, 0, 1]]),
    publish(1, 3),
    publish(2, 4),
    plain(0x62, ...uint16(4)),
    ack(0x40, 1),
    ack(0x50, 2),
    ack(0x70, 2),
    ack(0x62, 77),
    plain(0xc0),
    parts(0xa2, uint16(5), userProperties, ...filters.flatMap((filter) => text(filter))),
    publish(1, 6),
    is5 ? parts(0xe0, [pick(random, [0, 4])], [[0x11, ...uint32(1)], reasonString]) : plain(0xe0),
  ]
}
