import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROOT, runProgram } from '../support/program.ts'

/** One file each, with the import that stands in it and what it runs against. */
const FORBIDDEN: readonly [file: string, imported: string, message: string][] = [
  ['senml/a.ts', '../platform/errors.ts', 'senml/ imports nothing of ours.'],
  ['senml/b.ts', '../services/users/types.ts', 'senml/ imports nothing of ours.'],
  ['senml/c.ts', 'node:fs', 'senml/ runs in browsers too.'],
  ['platform/a.ts', '../senml/parse.ts', 'platform/ imports libraries alone.'],
  ['platform/db/b.ts', '../../services/users/types.ts', 'platform/ imports libraries alone.'],
  ['platform/c.ts', '../adapters/topics.ts', 'platform/ imports libraries alone.'],
  ['platform/d.ts', '../gateway/start.ts', 'platform/ imports libraries alone.'],
  ['services/users/a.ts', '../../adapters/topics.ts', 'services/ import platform/, senml/ and front doors'],
  ['services/messages/b.ts', '../../gateway/start.ts', 'services/ import platform/, senml/ and front doors'],
  ['services/journal/c.ts', '../auth/service.ts', 'Services stand in the order journal, auth, entities'],
  ['services/auth/d.ts', '../users/service.ts', 'Services stand in the order journal, auth, entities'],
  ['services/auth/d2.ts', '../entities/rules.ts', 'Services stand in the order journal, auth, entities'],
  ['services/entities/d3.ts', '../groups/types.ts', 'Services stand in the order journal, auth, entities'],
  ['services/users/e.ts', '../domains/service.ts', 'Services stand in the order journal, auth, entities'],
  ['services/domains/f.ts', '../groups/types.ts', 'Services stand in the order journal, auth, entities'],
  ['services/groups/g.ts', '../clients/errors.ts', 'Services stand in the order journal, auth, entities'],
  ['services/clients/h.ts', '../channels/service.ts', 'Services stand in the order journal, auth, entities'],
  ['services/channels/i.ts', '../messages/service.ts', 'Services stand in the order journal, auth, entities'],
  ['services/users/deeper/j.ts', '../../domains/service.ts', 'Services stand in the order journal, auth'],
  ['services/clients/k.ts', '../users/repository.ts', 'Another service is reached through its service.ts'],
  ['services/messages/l.ts', '../channels/routes.ts', 'Another service is reached through its service.ts'],
  ['adapters/mqtt/a.ts', '../../services/users/service.ts', 'adapters/ import platform/, senml/ and what'],
  ['adapters/b.ts', '../services/users/service.ts', 'adapters/ import platform/, senml/ and what'],
  ['adapters/mqtt/c.ts', '../../gateway/start.ts', 'adapters/ import platform/, senml/ and what'],
  ['adapters/mqtt/d.ts', '../http/publish.ts', 'An adapter knows no other adapter.'],
  ['adapters/mqtt/deeper/e.ts', '../../ws/frames.ts', 'An adapter knows no other adapter.'],
  ['adapters/http/f.ts', '../../platform/db/connect.ts', 'Adapters have no database.'],
  ['adapters/http/g.ts', 'pg', 'Adapters have no database.'],
  ['adapters/http/h.ts', 'kysely', 'Adapters have no database.'],
  ['gateway/a.ts', '../test/support/nats.ts', 'Shipped code imports no test code.'],
  ['gateway/http/b.ts', '../../bench/run.ts', 'Shipped code imports no test code.'],
]

const ALLOWED: readonly [file: string, imported: string][] = [
  ['senml/y.ts', './parse.ts'],
  ['platform/db/y.ts', '../errors.ts'],
  ['services/channels/v.ts', '../../platform/errors.ts'],
  ['services/channels/w.ts', '../../senml/parse.ts'],
  ['services/channels/x.ts', '../clients/service.ts'],
  ['services/channels/u.ts', '../entities/rules.ts'],
  ['services/messages/y.ts', '../journal/errors.ts'],
  ['adapters/mqtt/x.ts', '../topics.ts'],
  ['adapters/mqtt/y.ts', '../../platform/errors.ts'],
  ['gateway/http/y.ts', '../../services/users/routes.ts'],
  ['gateway/z.ts', '../adapters/mqtt/start.ts'],
]

const OTHERS: readonly [file: string, text: string, code: string][] = [
  [
    'platform/floating.ts',
    'async function work(): Promise<void> {}\nexport function start(): void {\n  work()\n}\n',
    'typescript(no-floating-promises)',
  ],
  [
    'platform/misused.ts',
    "import { on } from './misused-callee.ts'\n\non(async () => {})\n",
    'typescript(no-misused-promises)',
  ],
  ['platform/any.ts', 'export const anything: any = 1\n', 'typescript(no-explicit-any)'],
  [
    'platform/circle-one.ts',
    "import { two } from './circle-two.ts'\n\nexport const one = (): unknown => two\n",
    'import(no-cycle)',
  ],
]

const CALLEES: readonly [file: string, text: string][] = [
  ['platform/misused-callee.ts', 'export function on(listener: () => void): void {\n  listener()\n}\n'],
  [
    'platform/circle-two.ts',
    "import { one } from './circle-one.ts'\n\nexport const two = (): unknown => one\n",
  ],
]

/** Named, since the linter would follow the link to the packages. */
const FOLDERS = ['senml', 'platform', 'services', 'adapters', 'gateway']

interface Finding {
  readonly code: string
  readonly message: string
  readonly help?: string
  readonly filename: string
}

let folder: string
let findings: readonly Finding[]

/** All in one copy and one run: away from the real tree, which another test holds to be clean. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-lint-'))
  for (const name of ['.oxlintrc.json', 'tsconfig.json', 'package.json'])
    await cp(join(ROOT, name), join(folder, name))
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const importing = ([file, imported]: readonly string[]) =>
    [file, `import { thing } from '${imported}'\n\nexport const kept: unknown = thing\n`] as const
  const files = [...FORBIDDEN.map(importing), ...ALLOWED.map(importing), ...OTHERS, ...CALLEES]
  for (const [file, text] of files) {
    await mkdir(dirname(join(folder, file ?? '')), { recursive: true })
    await writeFile(join(folder, file ?? ''), text)
  }
  const oxlint = join(ROOT, 'node_modules', '.bin', 'oxlint')
  const { stdout } = await runProgram(oxlint, ['--type-aware', '--format=json', ...FOLDERS], { cwd: folder })
  findings = (JSON.parse(stdout) as { diagnostics: Finding[] }).diagnostics
  return () => rm(folder, { recursive: true, force: true })
})

const inFile = (file: string) => findings.filter(({ filename }) => filename === file)

describe('the linter', () => {
  it.each(FORBIDDEN)('refuses in %s an import of %s', (file, _imported, message) => {
    const said = inFile(file).map((finding) => `${finding.message} ${finding.help ?? ''}`)
    expect(said).toEqual([expect.stringContaining(message)])
  })

  it.each(ALLOWED)('lets %s import %s', (file) => {
    expect(inFile(file)).toEqual([])
  })

  it.each(OTHERS)('finds in %s what is wrong', (file, _text, code) => {
    expect(inFile(file).map((finding) => finding.code)).toContain(code)
  })
})
