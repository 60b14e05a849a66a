import { describe, expect, it } from 'vitest'
import { readPlainRequest } from '../../../adapters/http/request-head.ts'
import { garbageCollector } from '../../support/garbage.ts'

describe('the head of a publication', () => {
  it('is read without keeping what stands around its path and type, the secret among it', () => {
    const collect = garbageCollector()
    const kept: (string | undefined)[] = []
    collect()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 2_000; i += 1) {
      const request = readPlainRequest(
        Buffer.from(
          `POST /m/domain/c/channel/${i} HTTP/1.1\r\nAuthorization: Client ${'s'.repeat(1_500)}${i}\r\n` +
            'Content-Type: application/senml+json\r\nContent-Length: 2\r\n\r\n[]',
        ),
      )
      kept.push(request?.path, request?.contentType)
    }
    collect()
    expect(kept.slice(-2)).toEqual(['/m/domain/c/channel/1999', 'application/senml+json'])
    // The heads are over three megabytes.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(1_000_000)
  })
})
