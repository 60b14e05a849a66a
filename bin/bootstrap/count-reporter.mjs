import { writeFileSync } from 'node:fs'

/** Counts the tests for the last line of `npm test`. What fails outside a test (an import, a hook) counts as one failure. */
// The only way that vitest takes a reporter from a file.
// oxlint-disable-next-line import/no-default-export
export default class CountReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const count = { passed: 0, failed: unhandledErrors.length }
    for (const module of modules) {
      const results = [...module.children.allTests()].map((test) => test.result().state)
      const failed = results.filter((state) => state === 'failed').length
      count.passed += results.filter((state) => state === 'passed').length
      count.failed += failed === 0 && module.state() === 'failed' ? 1 : failed
    }
    writeFileSync(process.env.TEST_COUNT_FILE, JSON.stringify(count))
  }
}
