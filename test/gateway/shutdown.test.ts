import { request } from 'node:http'
import mqtt from 'mqtt'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createApi } from '../support/api.ts'
import { captureLog } from '../support/log.ts'
import { startTestGateway } from '../support/gateway.ts'

/** A publication whose body is still to come when the server has begun to serve it. */
async function beginPublish(url: string, authorization: string) {
  const publish = request(url, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/senml+json', expect: '100-continue' },
  })
  const answer = new Promise((resolve, reject) => {
    publish.once('response', (response) => resolve(response.resume().statusCode))
    publish.once('error', reject)
  })
  publish.flushHeaders()
  await new Promise((resolve) => publish.once('continue', resolve))
  return { answer, finish: (body: string) => publish.end(body) }
}

describe('a gateway that stops', () => {
  it('tells its devices, answers what it has accepted, and no part of it is late', async () => {
    const { log, lines } = captureLog()
    const gateway = await startTestGateway({}, undefined, log)
    const api = createApi(gateway.url)
    const site = await api.given.site()
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/${site.topic}`, {
      headers: { authorization: site.auth },
    })
    await new Promise((resolve) => socket.once('open', resolve))
    const closeCode = new Promise((resolve) => socket.once('close', resolve))
    const device = await mqtt.connectAsync(gateway.mqttUrl, {
      username: site.client.id,
      password: site.secret,
      protocolVersion: 5,
      reconnectPeriod: 0,
    })
    const reason = new Promise((resolve) => device.once('disconnect', (packet) => resolve(packet.reasonCode)))
    const { answer, finish } = await beginPublish(`${gateway.url}/${site.topic}`, site.auth)

    const stopped = gateway.stop()
    finish('[{"n":"x","v":1}]')

    expect(await answer).toBe(202)
    await stopped
    expect(await closeCode).toBe(1001)
    expect(await reason).toBe(0x8b)
    expect(lines.filter((line) => line.includes('did not stop'))).toEqual([])
  })
})
