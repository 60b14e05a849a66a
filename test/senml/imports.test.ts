import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const folder = join(import.meta.dirname, '..', '..', 'senml')
const files = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, code: readFileSync(join(folder, file), 'utf8') }))

function importsOf(code: string): string[] {
  return [...code.matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] as string)
}

describe.each(files)('senml/$file', ({ file, code }) => {
  it('imports its neighbours alone, but for the codec that one file keeps to itself', () => {
    const foreign = importsOf(code).filter((specifier) => !/^\.\/[a-z0-9-]+\.ts$/.test(specifier))

    expect(foreign).toEqual(file === 'cbor-codec.ts' ? ['cborg'] : [])
  })

  it('uses nothing that a browser lacks', () => {
    const withoutComments = code.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')

    expect(withoutComments).not.toMatch(/\b(?:Buffer|process|require|__dirname|global)\b/)
  })
})
