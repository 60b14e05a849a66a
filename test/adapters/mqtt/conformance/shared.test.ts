import { describe, expect, it } from 'vitest'
import { packet, PUBLISH } from '../../../support/mqtt-packets.ts'
import type { RawClient } from '../../../support/mqtt-packets.ts'
import { addMember, eventually, topicOf, useGateway, useRawClients } from '../support.ts'
import type { TestGateway } from '../support.ts'

let gateway: TestGateway
useGateway((started) => {
  gateway = started
})
const open = useRawClients(() => gateway)

describe('a shared subscription', () => {
  /** Two members of a group, with sessions to keep, of which one has got a message. */
  async function scene(qos: 1 | 2) {
    const channel = gateway.tables.addChannel()
    const member = addMember(gateway.tables, channel)
    const [topic, marker] = [topicOf(channel, 'a'), topicOf(channel, 'marker')]
    const join = (clientId: string): Promise<RawClient> =>
      open(5, member, { clientId, clean: false, properties: { sessionExpiryInterval: 60 } })
    const members = { one: await join('one'), two: await join('two') }
    for (const each of Object.values(members))
      await each.subscribe([`$share/group/${topic}`, marker], { qos: 2 })
    const publisher = await open(5, member, { clientId: 'publisher' })
    publisher.send({ ...PUBLISH, topic, qos })
    const name = await eventually(() => {
      if (members.one.packets.length > 0) return 'one'
      expect(members.two.packets).toHaveLength(1)
      return 'two'
    })
    const chosen = members[name]
    const { id } = await chosen.message()
    return {
      chosen,
      id,
      rejoin: () => join(name),
      /** What the other member hears next, when there is something for all of them. */
      heardByOther: async (): Promise<string> => {
        await publisher.publish(marker, { messageId: 2, payload: 'marker' })
        return (await members[name === 'one' ? 'two' : 'one'].message()).text
      },
    }
  }

  it.each([0, 1, 2] as const)('that was granted QoS %i gets no more than that', async (granted) => {
    const channel = gateway.tables.addChannel()
    const raw = await open(5, addMember(gateway.tables, channel))
    await raw.subscribe(`$share/group/${topicOf(channel)}`, { qos: granted })
    raw.send({ ...PUBLISH, topic: topicOf(channel), qos: 2 })
    expect((await raw.message()).qos).toBe(granted)
  })

  it.each([
    ['before PUBREC', false],
    ['behind PUBREC', true],
  ])('finishes QoS 2 with the member that it was begun with, broken off %s', async (_when, isReceived) => {
    const { chosen, id, rejoin, heardByOther } = await scene(2)
    if (isReceived) {
      chosen.send({ cmd: 'pubrec', messageId: id })
      await chosen.next('pubrel')
    }
    chosen.end()
    await chosen.closed()
    expect(await heardByOther()).toBe('marker')
    const again = await rejoin()
    if (isReceived) expect((await again.next('pubrel')).messageId).toBe(id)
    else expect(await again.message()).toMatchObject({ id, dup: true, qos: 2 })
  })

  it.each([
    ['PUBACK', 1, 0x40],
    ['PUBREC', 2, 0x50],
  ] as const)('gives what a member refused by %s to nobody else', async (_what, qos, first) => {
    const { chosen, id, heardByOther } = await scene(qos)
    chosen.write(packet(first, id >> 8, id & 0xff, 0x80))
    await chosen.ping()
    expect(await heardByOther()).toBe('marker')
  })
})
