#!/usr/bin/env node
// Runs the gateway that stands compiled in dist/, as the container image does.
import { main } from '../dist/gateway/main.js'

await main(process.env)
