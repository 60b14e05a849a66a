#!/usr/bin/env node
// `npm start`: makes ready what is missing and runs the gateway in this very process.
import { requireNode } from './bootstrap/node-version.mjs'

requireNode()
const { run } = await import('./bootstrap/failure.mjs')
const { stopWithNpm } = await import('./bootstrap/npm-parent.mjs')
const { prepare } = await import('./bootstrap/prepare.mjs')

stopWithNpm()

await run(async () => {
  const server = await prepare({ natsServer: !process.env.SLUICE_NATS_URL, compiled: true })
  if (server) process.env.SLUICE_NATS_SERVER = server
  await import('./run.mjs')
})
