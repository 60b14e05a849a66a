#!/usr/bin/env node
// Compiles the fuzzers and runs those named: `npm run fuzz -- mqtt --seconds 120`.
import { runNamed } from './bootstrap/named.mjs'

runNamed('test/fuzz', 'fuzzer', process.argv.slice(2))
