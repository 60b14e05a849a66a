#!/usr/bin/env node
// `npm run docs:config`: writes docs/configuration.md out of the settings.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './bootstrap/failure.mjs'
import { prepare, root } from './bootstrap/prepare.mjs'

await run(async () => {
  await prepare({ natsServer: false, compiled: true })
  const { describeConfig } = await import('../dist/platform/config-docs.js')
  mkdirSync(join(root, 'docs'), { recursive: true })
  writeFileSync(join(root, 'docs', 'configuration.md'), describeConfig())
})
