import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../support/program.ts'

/** What the specifications number, by section; numbers run without a gap unless they are listed. */
const MQTT_5: Record<string, number | readonly number[]> = {
  '1.5.4': 3,
  '1.5.5': 1,
  '1.5.7': 1,
  '2.1.3': 1,
  '2.2.1': [2, 3, 4, 5, 6],
  '2.2.2': 1,
  '3.1.0': 2,
  '3.1.2': 30,
  '3.1.3': [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12],
  '3.1.4': 6,
  '3.2.0': 2,
  '3.2.2': 22,
  '3.3.1': 13,
  '3.3.2': 20,
  '3.3.4': [1, 2, 3, 4, 6, 7, 8, 9, 10],
  '3.4.2': 3,
  '3.5.2': 3,
  '3.6.1': 1,
  '3.6.2': 3,
  '3.7.2': 3,
  '3.8.1': 1,
  '3.8.3': 5,
  '3.8.4': 8,
  '3.9.2': 2,
  '3.9.3': 2,
  '3.10.1': 1,
  '3.10.3': 2,
  '3.10.4': 6,
  '3.11.2': 2,
  '3.11.3': 2,
  '3.12.4': 1,
  '3.14.0': 1,
  '3.14.1': 1,
  '3.14.2': [2, 3, 4],
  '3.14.4': 3,
  '3.15.1': 1,
  '3.15.2': 3,
  '4.1.0': 2,
  '4.2': 1,
  '4.3.1': 1,
  '4.3.2': 5,
  '4.3.3': 13,
  '4.4.0': 2,
  '4.5.0': 2,
  '4.6.0': 6,
  '4.7.0': 1,
  '4.7.1': 2,
  '4.7.2': 1,
  '4.7.3': 4,
  '4.8.2': [1, 2, 3, 4, 6],
  '4.9.0': 3,
  '4.12.0': 7,
  '4.12.1': 2,
  '4.13.1': 1,
  '4.13.2': 1,
}
const MQTT_3_1_1: typeof MQTT_5 = {
  '1.5.3': 3,
  '2.2.2': 2,
  '2.3.1': 7,
  '3.1.0': 2,
  '3.1.2': 24,
  '3.1.3': 11,
  '3.1.4': 5,
  '3.2.0': 1,
  '3.2.2': 6,
  '3.3.1': 12,
  '3.3.2': 3,
  '3.3.4': 1,
  '3.3.5': 2,
  '3.6.1': 1,
  '3.8.1': 1,
  '3.8.3': 4,
  '3.8.4': 6,
  '3.9.3': 2,
  '3.10.1': 1,
  '3.10.3': 2,
  '3.10.4': 6,
  '3.12.4': 1,
  '3.14.1': 1,
  '3.14.4': 3,
  '4.1.0': 2,
  '4.3.1': 1,
  '4.3.2': 2,
  '4.3.3': 2,
  '4.4.0': 1,
  '4.5.0': 2,
  '4.6.0': 6,
  '4.7.1': 3,
  '4.7.2': 1,
  '4.7.3': 4,
  '4.8.0': 2,
  '6.0.0': 4,
  '7.0.0': 2,
  '7.1.1': 1,
  '7.1.2': 1,
}

function numbersOf(sections: typeof MQTT_5): string[] {
  return Object.entries(sections).flatMap(([section, given]) => {
    const numbers = typeof given === 'number' ? Array.from({ length: given }, (_, index) => index + 1) : given
    return numbers.map((number) => `${section}-${number}`)
  })
}

interface Row {
  readonly number: string
  readonly about: string
  readonly shownBy: string
}

function rowsOf(chapter: string): Row[] {
  return [...chapter.matchAll(/^\| (\d[\d.]+-\d+) +\| (.+?) +\| (.+?) +\|$/gm)].map(
    ([, number = '', about = '', shownBy = '']) => ({ number, about, shownBy }),
  )
}

/** `file` title, and more of the like behind line breaks. */
function testsOf({ shownBy }: Row): { file: string; title: string }[] {
  return [...shownBy.matchAll(/`([a-z0-9/-]+)` (.+?)(?=<br>|$)/g)].map(([, file = '', title = '']) => ({
    file,
    title,
  }))
}

const [, five = '', older = ''] = (await readFile(join(ROOT, 'docs/mqtt-conformance.md'), 'utf8')).split(
  /^## /m,
)

describe.each([
  ['MQTT 5', five, MQTT_5, 243],
  ['MQTT 3.1.1', older, MQTT_3_1_1, 141],
] as const)('docs/mqtt-conformance.md on %s', (name, chapter, sections, count) => {
  const rows = rowsOf(chapter)

  it('has each number once: a row, or a place among those that bind a client alone', () => {
    expect(chapter.startsWith(name)).toBe(true)
    const ofClients = (/bind a client alone: ([^]+?)\.\n/.exec(chapter)?.[1] ?? '').split(/,\s+/)
    const listed = [...rows.map(({ number }) => number), ...ofClients]
    expect(numbersOf(sections)).toHaveLength(count)
    expect(listed.sort()).toEqual(numbersOf(sections).sort())
  })

  it('says of each what shows it, or why nothing does', () => {
    const silent = rows.filter(
      (row) => testsOf(row).length === 0 && !row.shownBy.startsWith('Does not apply: '),
    )
    expect(silent).toEqual([])
  })

  it('names tests that are there', async () => {
    const missing: string[] = []
    const sources = new Map<string, string>()
    for (const row of rows) {
      for (const { file, title } of testsOf(row)) {
        const path = join(ROOT, 'test/adapters/mqtt', `${file}.test.ts`)
        const source = sources.get(file) ?? (await readFile(path, 'utf8').catch(() => ''))
        sources.set(file, source)
        if (!source.includes(`'${title.replaceAll("'", "\\'")}'`))
          missing.push(`${row.number}: ${file}: ${title}`)
      }
    }
    expect(missing).toEqual([])
  })
})
