import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, it } from 'vitest'

// Aedes has it, we do not: it is found from there.
const ofAedes = createRequire(createRequire(import.meta.url).resolve('aedes'))
const suite = await readFile(ofAedes.resolve('aedes-persistence/abstract.js'), 'utf8')
const statements = [...suite.matchAll(/^ *test\('(.+?)',/gm)].map(([, name = '']) => name)

const files = (await readdir(import.meta.dirname)).filter((name) => !name.startsWith('names.'))
const sources = await Promise.all(files.map((name) => readFile(join(import.meta.dirname, name), 'utf8')))
/** Titles of tests, and the first column of tables. */
const namesAfter = (opening: RegExp) =>
  sources.flatMap((source) => [...source.matchAll(opening)].map(([, name = '']) => name))
const titles = namesAfter(/\bit\(\s*'(.+?)',/g)
const rows = namesAfter(/\[\s*'(.+?)',/g)

it("each statement of aedes-persistence's own test suite has its test here, under the same name", () => {
  expect(statements.length).toBeGreaterThan(40)
  expect(new Set(statements).size).toBe(statements.length)
  const shown = [...titles, ...rows]
  expect(statements.filter((name) => shown.filter((each) => each === name).length !== 1)).toEqual([])
})

it('no other test passes for one of that suite', () => {
  expect(titles.filter((name) => !statements.includes(name))).toEqual([])
})
