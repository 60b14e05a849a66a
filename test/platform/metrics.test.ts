import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../platform/metrics.ts'

async function shown(metrics: ReturnType<typeof createMetrics>, name: string): Promise<string[]> {
  const text = await metrics.registry.metrics()
  return text.split('\n').filter((line) => line.startsWith(name))
}

describe('a gauge', () => {
  it('is read when somebody reads, and leaves out what is not known', async () => {
    const metrics = createMetrics()
    let value: number | undefined = 7
    metrics.gauge('test_known', 'of the test', () => value)
    metrics.gauge('test_labelled', 'of the test', () => Promise.resolve(1), { part: 'one' })
    metrics.gauge('test_labelled', 'of the test', () => Promise.reject(new Error('away')), { part: 'two' })
    expect(await shown(metrics, 'test_known')).toEqual(['test_known 7'])
    expect(await shown(metrics, 'test_labelled')).toEqual(['test_labelled{part="one"} 1'])
    value = undefined
    expect(await shown(metrics, 'test_known')).toEqual([])
    value = 0
    expect(await shown(metrics, 'test_known')).toEqual(['test_known 0'])
  })
})

describe('a counter', () => {
  it('is the same for the same labels, and is there before it has counted', async () => {
    const metrics = createMetrics()
    metrics.counter('test_total', 'of the test', { part: 'one' }).value += 1
    metrics.counter('test_total', 'of the test', { part: 'one' }).value += 1
    metrics.counter('test_total', 'of the test', { part: 'two' })
    expect(await shown(metrics, 'test_total')).toEqual([
      'test_total{part="one"} 2',
      'test_total{part="two"} 0',
    ])
  })
})

describe('the time to delivery', () => {
  it('is looked at for the first, then once in a millisecond at the most, and is never less than nothing', async () => {
    const metrics = createMetrics()
    const observe = metrics.delivery('test')
    const began = Date.now()
    const ahead = BigInt(began + 60_000) * 1_000_000n
    for (let message = 0; message < 100_000; message += 1) observe(ahead)
    const tookMs = Date.now() - began
    const [count = ''] = await shown(metrics, 'sluice_delivery_seconds_count')
    expect(Number(count.split(' ')[1])).toBeGreaterThan(0)
    expect(Number(count.split(' ')[1])).toBeLessThanOrEqual(tookMs + 1)
    expect(await shown(metrics, 'sluice_delivery_seconds_sum')).toEqual([
      'sluice_delivery_seconds_sum{protocol="test"} 0',
    ])
  })
})
