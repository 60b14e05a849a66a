#!/usr/bin/env node
// `npm test`: makes ready what is missing, runs vitest (arguments are passed on; `--soak` runs test/soak/ instead), and
// ends with one line that counts.
import { requireNode } from './bootstrap/node-version.mjs'

requireNode()
const { run } = await import('./bootstrap/failure.mjs')
const { prepare } = await import('./bootstrap/prepare.mjs')
const { runTests } = await import('./bootstrap/tests.mjs')

await run(async () => {
  const natsServer = await prepare({ natsServer: true, compiled: false })
  process.exitCode = await runTests(natsServer, process.argv.slice(2))
})
