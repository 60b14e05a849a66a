import { defineConfig } from 'vitest/config'

const SOAK = 'test/soak/**/*.test.ts'

export default defineConfig(({ mode }) => ({
  test: {
    include: mode === 'soak' ? [SOAK] : ['test/**/*.test.ts'],
    exclude: mode === 'soak' ? [] : [SOAK],
    globalSetup: ['test/support/global-setup.ts'],
    // Processes, not threads: a test file may start a gateway, and each has signals and an environment of its own.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: mode === 'soak' ? 600_000 : 30_000,
    hookTimeout: 60_000,
  },
}))
