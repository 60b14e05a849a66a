#!/usr/bin/env node
// Compiles the benchmarks and runs those named: `npm run bench -- senml`.
import { runNamed } from './bootstrap/named.mjs'

runNamed('bench', 'benchmark', process.argv.slice(2))
