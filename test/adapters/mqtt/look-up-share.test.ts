import { expect, it } from 'vitest'
import { createLookUpShare } from '../../../adapters/mqtt/look-up-share.ts'

it('a domain that has used its share of look-ups lets others go on first, and is not kept from its own for good', async () => {
  const share = createLookUpShare(10)
  const order: string[] = []
  async function lookUp(domainId: string, visits: number, name: string): Promise<void> {
    await share.run(domainId, () => {
      order.push(name)
      return { visits }
    })
  }
  const rounds: string[] = []
  setImmediate(() => rounds.push(order.join()))
  await Promise.all([
    lookUp('greedy', 6, 'greedy 1'),
    lookUp('greedy', 6, 'greedy 2'),
    lookUp('greedy', 100, 'greedy 3'),
    lookUp('greedy', 1, 'greedy 4'),
    lookUp('modest', 1, 'modest'),
  ])
  expect(rounds).toEqual(['greedy 1,greedy 2,modest'])
  expect(order).toEqual(['greedy 1', 'greedy 2', 'modest', 'greedy 3', 'greedy 4'])
})
