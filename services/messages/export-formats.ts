import { InvalidInput } from '../../platform/errors.ts'
import type { SenmlRecord } from '../../senml/record.ts'
import { CborStreamWriter, JsonStreamWriter } from '../../senml/stream-write.ts'
import { LongInteger, toJson } from './json.ts'
import { SENML_OPTIONS } from './payload.ts'
import type { presentBucket, presentJson, presentReading } from './present.ts'

type Shown = Partial<ReturnType<typeof presentReading>> &
  Partial<ReturnType<typeof presentBucket>> &
  Partial<ReturnType<typeof presentJson>>

/** Writes rows as they come. What its methods return, put together, is the document. */
export interface ExportWriter {
  begin(): string
  write(row: Shown): string | Uint8Array
  end(): string | Uint8Array
}

/** Media types that an export is written in, the first one where all are equally welcome. */
export const EXPORT_TYPES = [
  'application/x-ndjson',
  'text/csv',
  'application/senml+json',
  'application/senml+cbor',
] as const
export type ExportType = (typeof EXPORT_TYPES)[number]

/** @throws {InvalidInput} the format has no form in this type */
export function createExportWriter(type: ExportType, format: string): ExportWriter {
  switch (type) {
    case 'application/x-ndjson':
      return { begin: () => '', write: (row) => `${toJson(row)}\n`, end: () => '' }
    case 'text/csv':
      return csvWriter(format === 'messages' ? READING_COLUMNS : JSON_COLUMNS)
    case 'application/senml+json':
      return senmlWriter(format, new JsonStreamWriter(SENML_OPTIONS), '')
    case 'application/senml+cbor':
      return senmlWriter(format, new CborStreamWriter(SENML_OPTIONS), new Uint8Array())
  }
}

const READING_COLUMNS = [
  'time',
  'name',
  'value',
  'string_value',
  'bool_value',
  'data_value',
  'sum',
  'unit',
  'update_time',
  'subtopic',
  'publisher',
  'protocol',
  'channel',
] as const

const JSON_COLUMNS = ['created', 'payload', 'subtopic', 'publisher', 'protocol', 'channel'] as const

/** Comma-separated values as RFC 4180 has them, with a line of names in front. */
function csvWriter(columns: readonly (keyof Shown)[]): ExportWriter {
  return {
    begin: () => `${columns.join(',')}\r\n`,
    write: (row) => `${columns.map((column) => cell(row[column])).join(',')}\r\n`,
    end: () => '',
  }
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'number' || typeof value === 'boolean' || value instanceof LongInteger)
    return String(value)
  const text = typeof value === 'string' ? value : toJson(value)
  // A device must not get a spreadsheet to calculate: what would be a formula is made text (OWASP, "CSV Injection").
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

function senmlWriter<T extends string | Uint8Array>(
  format: string,
  writer: { write(record: SenmlRecord): T; end(): T },
  nothing: T,
): ExportWriter {
  if (format !== 'messages') throw new InvalidInput('format: other JSON messages have no form in SenML')
  return {
    begin: () => '',
    write(row) {
      const record = toSenml(row)
      return record ? writer.write(record) : nothing
    },
    end: () => writer.end(),
  }
}

/** Resolved, as RFC 8428 section 4.6 has it; `undefined` for what no record can say: an interval without a value. */
function toSenml(row: Shown): SenmlRecord | undefined {
  const {
    name,
    unit,
    time,
    update_time: ut,
    value,
    string_value: vs,
    bool_value: vb,
    data_value: vd,
    sum,
  } = row
  const record: SenmlRecord = { n: name ?? '' }
  if (unit !== undefined) record.u = unit
  if (time !== undefined) record.t = time
  if (value !== undefined && value !== null) record.v = value
  else if (vs !== undefined) record.vs = vs
  else if (vb !== undefined) record.vb = vb
  else if (vd !== undefined) record.vd = vd
  else if (sum === undefined) return undefined
  if (sum !== undefined) record.s = sum
  if (ut !== undefined) record.ut = ut
  return record
}
