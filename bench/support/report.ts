import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'

/** A line of a benchmark's table. Columns appear in the order of the first row's fields. */
export type Row = Readonly<Record<string, string | number>>

/** Prints the rows as a table, and writes them with the machine they come from to `bench/results/<name>.json`. */
export function report(name: string, rows: readonly Row[]): void {
  console.log(table(rows))
  save(name, rows)
}

/** What {@link report} does but for the printing. */
export function save(name: string, rows: readonly Row[]): void {
  const folder = join('bench', 'results')
  mkdirSync(folder, { recursive: true })
  const machine = { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length }
  const result = { name, at: new Date().toISOString(), machine, rows }
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`)
}

export function table(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {})
  const lines = [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))]
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((text, i) => (i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)))
        .join('  '),
    )
    .join('\n')
}

function cell(value: string | number | undefined): string {
  return typeof value === 'number'
    ? value.toLocaleString('en-US', { maximumFractionDigits: 2 })
    : (value ?? '')
}
