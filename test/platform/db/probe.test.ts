import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createProbe } from '../../../platform/db/probe.ts'
import { cloneDatabase } from '../../support/database.ts'
import type { TestDatabase } from '../../support/database.ts'
import { eventually } from '../../support/eventually.ts'
import { freePort } from '../../support/nats.ts'
import { endSessions } from '../../support/postgres.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await cloneDatabase()
})
afterAll(() => database.drop())

describe('the probe', () => {
  it('asks once for all who want to know', async () => {
    const probe = createProbe(database.url)
    onTestFinished(() => probe.stop())
    const [first, second] = [probe.answers(), probe.answers()]
    expect(first).toBe(second)
    expect(await first).toBe(true)
  })

  it('says no while the database is away, and yes when its own connection was ended and can be had again', async () => {
    const away = createProbe(`postgres://someone@127.0.0.1:${await freePort()}/x`)
    onTestFinished(() => away.stop())
    expect(await away.answers()).toBe(false)

    const probe = createProbe(database.url)
    onTestFinished(() => probe.stop())
    expect(await probe.answers()).toBe(true)
    await endSessions(database.url)
    await eventually('the database answers again', () => probe.answers())
  })
})
