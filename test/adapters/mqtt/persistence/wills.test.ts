import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { RawClient } from '../support.ts'
import { cut, leave, textsOf, useTwoNodes } from './support.ts'

const nodes = useTwoNodes()
const { open, rest, topic } = nodes

/** Options of CONNECT: a will under a topic of its own, which says whose it is. */
const withWill = (clientId: string) => ({
  clientId,
  will: { topic: topic(`died/${clientId}`), payload: Buffer.from(clientId), qos: 1, retain: true } as const,
})

/** Hears the wills on the node where those who die are not. */
async function witness(): Promise<RawClient> {
  const raw = await open('b')
  await raw.subscribe(topic('died/#'))
  return raw
}

/** Connects without a will on one node and then on the other: whoever is let in is so behind the will that was owed. */
async function comeBack(clientId: string): Promise<void> {
  await cut(await open('b', { clientId }))
  await cut(await open('a', { clientId }))
  await leave(await open('b', { clientId }))
}

async function nextTexts(raw: RawClient, count: number): Promise<string[]> {
  const texts: string[] = []
  while (texts.length < count) texts.push((await raw.message()).text)
  return texts.sort()
}

describe('aedes-persistence: wills', () => {
  it('store, fetch and delete will message', async () => {
    const heard = await witness()
    const clientId = randomUUID()
    await cut(await open('a', withWill(clientId)))
    expect(await heard.message()).toMatchObject({ text: clientId, qos: 1, retain: false })
    const late = await open('b')
    await late.subscribe(topic('died/#'))
    expect(await rest(late)).toMatchObject([{ text: clientId, qos: 1, retain: true }])
    // Gone once it was sent.
    await comeBack(clientId)
    expect(await rest(heard)).toEqual([])
    // And with DISCONNECT.
    await leave(await open('a', withWill(clientId)))
    await comeBack(clientId)
    expect(await rest(heard)).toEqual([])
  })

  // All that one node has: it ends, and nobody has said DISCONNECT.
  it('stream all will messages', async () => {
    const heard = await witness()
    const ending = await nodes.start()
    const clientIds = [randomUUID(), randomUUID(), randomUUID()].sort()
    for (const clientId of clientIds) await open(ending, withWill(clientId))
    await ending.stop()
    expect(await nextTexts(heard, 3)).toEqual(clientIds)
    expect(await rest(heard)).toEqual([])
  })

  it('stream all will message for unknown brokers', async () => {
    const heard = await witness()
    const { doomed, kill } = await nodes.startDoomed()
    const dead = [randomUUID(), randomUUID()].sort()
    const alive = randomUUID()
    for (const clientId of dead) await open(doomed, withWill(clientId))
    const living = await open('a', withWill(alive))
    await kill()
    expect(await nextTexts(heard, 2)).toEqual(dead)
    expect(await rest(heard)).toEqual([])
    await cut(living)
    expect((await heard.message()).text).toBe(alive)
  })

  it('delete wills from dead brokers', async () => {
    const heard = await witness()
    const { doomed, kill } = await nodes.startDoomed()
    const clientId = randomUUID()
    await open(doomed, withWill(clientId))
    await kill()
    expect((await heard.message()).text).toBe(clientId)
    await comeBack(clientId)
    // Nor does a node that is new find it.
    await leave(await open(await nodes.start(), { clientId }))
    expect(textsOf(await rest(heard))).toEqual([])
  })
})
