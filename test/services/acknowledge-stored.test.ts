import mqtt from 'mqtt'
import { connect } from 'nats'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import type { Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startGround, startTestGateway } from '../support/gateway.ts'
import type { Ground, TestGateway } from '../support/gateway.ts'

let ground: Ground
let gateway: TestGateway
let api: Api
let site: Awaited<ReturnType<Api['given']['site']>>
beforeEach(async () => {
  ground = await startGround()
  // Without a writer: the tests say when one runs.
  gateway = await startTestGateway({ SLUICE_ROLES: 'http,mqtt,api,reader', SLUICE_ACK: 'stored' }, ground)
  api = createApi(gateway.url)
  site = await api.given.site()
})
afterEach(async () => {
  await gateway.stop()
  await ground.stop()
})

const publish = () => api.call('POST', `/${site.topic}`, { auth: site.auth, body: [{ n: 'x', v: 1 }] })

async function messagesOnStream(): Promise<number> {
  const nats = await connect({ servers: ground.natsUrl })
  const { state } = await (await nats.jetstreamManager()).streams.info('messages')
  await nats.close()
  return state.messages
}

describe('with SLUICE_ACK=stored', () => {
  it('a publisher is answered when the writer is back and has stored the message, not before', async () => {
    const client = await mqtt.connectAsync(gateway.mqttUrl, {
      username: site.client.id,
      password: site.secret,
    })
    const answered: string[] = []
    const answers = [
      publish().then(({ status }) => answered.push(`HTTP ${status}`)),
      client.publishAsync(site.topic, '[{"n":"x","v":2}]', { qos: 1 }).then(() => answered.push('QoS 1')),
      client.publishAsync(site.topic, '[{"n":"x","v":3}]', { qos: 2 }).then(() => answered.push('QoS 2')),
    ]
    await eventually('all are on the stream', async () => (await messagesOnStream()) === 3)
    expect(answered).toEqual([])
    const writer = await startTestGateway({ SLUICE_ROLES: 'writer' }, ground)
    await Promise.all(answers)
    expect(answered.sort()).toEqual(['HTTP 202', 'QoS 1', 'QoS 2'])
    const { body } = await api.expect(200, 'GET', `/${site.domain.id}/channels/${site.channel.id}/messages`, {
      token: site.token,
    })
    expect(body.total).toBe(3)
    await client.endAsync()
    await writer.stop()
  })

  it('it is refused within the time that publishing has, when no writer comes', async () => {
    expect((await publish()).status).toBe(503)
  })
})
