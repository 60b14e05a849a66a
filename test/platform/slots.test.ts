import { expect, it } from 'vitest'
import { createSlots } from '../../platform/slots.ts'

it('slots go first to who has the fewest of them, and among equals in turns', async () => {
  const slots = createSlots(2)
  const order: string[] = []
  const take = async (owner: string): Promise<void> => {
    await slots.take(owner)
    order.push(owner)
  }
  /** Whoever was given a slot last has had it for long enough. */
  const turn = async (): Promise<void> => {
    slots.free(order.at(-1) ?? '')
    await new Promise((resolve) => setImmediate(resolve))
  }
  const all = ['greedy', 'greedy', 'greedy', 'greedy', 'greedy', 'modest', 'modest', 'other'].map(take)
  expect(slots.isWanted).toBe(true)
  while (order.length < all.length) await turn()
  // One of the first two stands all the time.
  expect(order.join(' ')).toBe('greedy greedy modest other modest greedy greedy greedy')
  await turn()
  slots.free('greedy')
  expect(slots.isWanted).toBe(false)
  await Promise.all([slots.take('one'), slots.take('one')])
})
