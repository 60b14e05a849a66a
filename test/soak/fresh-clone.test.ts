import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/folder.ts'
import { ROOT, runProgram, startProgram } from '../support/program.ts'

/** `npm start` as somebody who has just cloned, under settings that would mislead npm. */
async function startAndStop(clone: string): Promise<string> {
  const npm = startProgram('npm', ['start'], {
    cwd: clone,
    env: {
      NODE_ENV: 'production',
      npm_config_omit: 'dev',
      npm_config_ignore_scripts: 'true',
      SLUICE_HTTP_PORT: '0',
      SLUICE_MQTT_PORT: '0',
    },
  })
  onTestFinished(() => void npm.child.kill('SIGKILL'))
  await eventually(
    'the banner',
    () => npm.output.stdout.includes('Try it:') || npm.child.exitCode !== null,
    300_000,
  )
  npm.child.kill('SIGTERM')
  await npm.ended
  expect(npm.output.stdout).toContain('Try it:')
  return npm.output.stderr
}

it('a fresh clone in a folder that only we can enter comes up, and the second time without preparing anything', async () => {
  const clone = join(await temporaryFolder(), 'fresh clone')
  await runProgram('git', ['clone', '--quiet', ROOT, clone])

  const first = await startAndStop(clone)
  expect(first).toContain('Installing packages')
  expect(first).toContain('Building …')

  const second = await startAndStop(clone)
  expect(second).not.toMatch(/Installing|Building|Fetching/)
})
