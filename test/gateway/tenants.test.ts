import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PUBLISH_DOCS } from '../../gateway/http/publish-docs.ts'
import { createApi } from '../support/api.ts'
import type { Answer, Api, CallOptions } from '../support/api.ts'
import { startTestGateway } from '../support/gateway.ts'
import type { TestGateway } from '../support/gateway.ts'
import { fill, formsOf } from '../support/route-slots.ts'
import type { Form, Slot } from '../support/route-slots.ts'
import { makeTenant, noIds, recordsOf } from '../support/tenant.ts'
import type { Ids, Tenant } from '../support/tenant.ts'

let gateway: TestGateway
let api: Api
let mine: Tenant
let theirs: Tenant
const nothing = noIds()
beforeAll(async () => {
  gateway = await startTestGateway()
  api = createApi(gateway.url)
  mine = await makeTenant(api, 'mine')
  theirs = await makeTenant(api, 'only-for-their-eyes')
})
afterAll(() => gateway.stop())

/** A request in which some of the ids are not one's own. */
interface Trial {
  readonly form: Form
  readonly strange: readonly Slot[]
  /** Whether domains and channels in the path are named by their routes. */
  readonly isByRoute: boolean
  readonly caller: CallOptions
}

const formsOfAll = () => [...gateway.endpoints, ...PUBLISH_DOCS].flatMap(formsOf)

/** Each id by itself, with the others one's own; and of those in the path each with all behind it. */
function trialsOf(form: Form): Trial[] {
  const inPath = form.slots.filter(({ place }) => place === 'path')
  const choices = inPath.flatMap((slot, i) => (slot === inPath.at(-1) ? [[slot]] : [[slot], inPath.slice(i)]))
  // What has no form to answer in goes on for as long as one listens: to one's own channel.
  const isEndless = form.route.method === 'get' && form.route.response === undefined
  const beside = form.slots.filter(({ place }) => place === 'body' || (place === 'query' && !isEndless))
  const callers = [{ token: mine.token }, ...(form.route.access === 'device' ? [{ auth: mine.auth }] : [])]
  return [...choices, ...beside.map((slot) => [slot])].flatMap((strange) =>
    (takesRoutes(form, strange) ? [false, true] : [false]).flatMap((isByRoute) =>
      callers.map((caller) => ({ form, strange, isByRoute, caller })),
    ),
  )
}

/** Whether the strange domain or channel in the path may be named by its route. */
function takesRoutes({ slots, route }: Form, strange: readonly Slot[]): boolean {
  const inPath = slots.filter(({ place }) => place === 'path')
  const named = Object.fromEntries(inPath.map(({ name, kind }) => [name, mine.ids[kind].at(-1)]))
  const [one, ...others] = strange
  const isNamed = one?.place === 'path' && mine.ids[one.kind].length > 1 && others.length === 0
  return isNamed && (route.params?.safeParse({ type: 'client', ...named }).success ?? true)
}

/** Asks with the strange ids taken from somebody's, and the others one's own. */
async function ask({ form, strange, isByRoute, caller }: Trial, from: Ids): Promise<Answer> {
  const { path, body } = fill(form, (slot) => {
    const isStrange = strange.includes(slot)
    if (!isStrange && (slot.isNew || slot.place === 'query')) return undefined
    const [id, route = id] = (isStrange ? from : mine.ids)[slot.kind]
    return isByRoute && slot.place === 'path' ? route : id
  })
  return api.call(form.method, path, { ...caller, body })
}

/** What an answer tells, apart from the ids that were asked for. */
function told({ status, text }: Answer, { strange }: Trial, from: Ids): string {
  let shown = text
  for (const { kind } of strange) for (const id of from[kind]) shown = shown.replaceAll(id, `<${kind}>`)
  return `${status} ${shown}`
}

/** What of theirs an answer shows that was not asked with. */
function shownOfTheirs({ text }: Answer, strange: readonly Slot[] = []): string[] {
  const asked = new Set(strange.flatMap(({ kind }) => theirs.ids[kind]))
  return theirs.secrets.filter((secret) => !asked.has(secret) && text.includes(secret))
}

/** @returns why the answer is not the one to give; `undefined` when it is */
async function findLeak(trial: Trial): Promise<string | undefined> {
  const { form, strange } = trial
  const foreign = await ask(trial, theirs.ids)
  const shown = shownOfTheirs(foreign, strange)
  if (shown.length > 0) return `shows ${shown.join()}`
  // Ids are taken once for all domains (contract 1.6), and that is all that is said.
  if (strange.every(({ isNew }) => isNew))
    return foreign.status === 409 ? undefined : `answers ${foreign.status}`
  const missing = await ask(trial, nothing)
  // People belong to no domain: whoever is signed in may look at them, and take them into a domain of their own.
  const isAboutPeople = strange.every(({ kind }) => kind === 'user')
  if (isAboutPeople && (form.method === 'GET' || strange.every(({ place }) => place !== 'path')))
    return undefined
  const [one, other] = [told(foreign, trial, theirs.ids), told(missing, trial, nothing)]
  if (one !== other) return `answers ${one}, and where there is nothing ${other}`
  return isNothing(foreign, trial) ? undefined : `answers ${one}`
}

function isNothing({ status, body }: Answer, { form, strange }: Trial): boolean {
  if (status === 403 || status === 404) return true
  // A secret that is nobody's in the domain is no credential there.
  if (form.route.access === 'device' && status === 401) return true
  // Lists of what is not there, and taking away what is not there.
  if (form.method === 'GET') return strange.every(({ place }) => place === 'query') || body?.total === 0
  const takesAway = form.method === 'DELETE' || /\/(?:remove|delete)$/.test(form.path)
  return takesAway && body === undefined && status < 300
}

describe('another tenant', () => {
  it('gets the same answer on every route, with every id, as if there were nothing, and changes nothing', async () => {
    const before = await recordsOf(theirs, gateway)
    const leaks: unknown[] = []
    for (const form of formsOfAll()) {
      for (const trial of trialsOf(form)) {
        const leak = await findLeak(trial)
        const strange = trial.strange.map(({ place, name }) => `${name} in the ${place}`).join(', ')
        if (leak !== undefined) leaks.push(`${form.method} ${form.path}, ${strange}: ${leak}`)
      }
    }
    expect(leaks).toEqual([])
    expect(await recordsOf(theirs, gateway)).toEqual(before)
  }, 240_000)

  it('sees nothing of the others on routes that take no id', async () => {
    const leaks: unknown[] = []
    for (const form of formsOfAll()) {
      if (form.slots.some(({ place, isNew }) => place !== 'query' && !isNew)) continue
      const { path, body } = fill(form, () => undefined)
      const answer = await api.call(form.method, path, { token: mine.token, body })
      const shown = shownOfTheirs(answer)
      if (shown.length > 0) leaks.push([form.method, form.path, shown])
    }
    expect(leaks).toEqual([])
  })
})
