import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeConfig } from '../../platform/config-docs.ts'
import { ROOT, runProgram } from '../support/program.ts'

interface Package {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly dependencies?: Record<string, string>
  readonly optionalDependencies?: Record<string, string>
}

const read = (name: string) => readFile(join(ROOT, name), 'utf8')

describe('docs/configuration.md', () => {
  it('says what the settings are (`npm run docs:config` writes it)', async () => {
    expect(await read('docs/configuration.md')).toBe(describeConfig())
  })
})

describe('the lock file', async () => {
  const { packages } = JSON.parse(await read('package-lock.json')) as { packages: Record<string, Package> }
  const installed = Object.entries(packages).filter(([path]) => path !== '')

  it('names no registry, and each package by version and content', async () => {
    expect(installed.filter(([, entry]) => entry.resolved !== undefined)).toEqual([])
    expect(installed.filter(([, entry]) => !entry.version || !entry.integrity)).toEqual([])
    expect(await read('.npmrc')).toContain('omit-lockfile-registry-resolved=true')
  })

  it('holds what all platforms need, or `npm ci` would refuse it', () => {
    const names = new Set(installed.map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 13)))
    const wanted = installed.flatMap(([, entry]) => [
      ...Object.keys(entry.dependencies ?? {}),
      ...Object.keys(entry.optionalDependencies ?? {}),
    ])
    expect(wanted.filter((name) => !names.has(name))).toEqual([])
  })
})

describe('.ci/run', () => {
  it('does what the README says, and nothing cleverer', async () => {
    expect(await read('.ci/run')).toBe('#!/usr/bin/env bash\nset -euo pipefail\nnpm test\n')
    expect((await runProgram('test', ['-x', '.ci/run'])).status).toBe(0)
  })
})
