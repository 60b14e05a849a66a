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
    // Two processes for all files. A new one for each was two fifths of the time, and no file leaves anything behind for the next:
    // what it starts it stops.
    isolate: false,
    testTimeout: mode === 'soak' ? 600_000 : 30_000,
    hookTimeout: 60_000,
  },
}))
