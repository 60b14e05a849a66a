// Written so that an old Node can read it; everything else is imported behind this check.
import { readFileSync } from 'fs'

/** Ends the process with one sentence when this Node is older than package.json asks for. */
export function requireNode() {
  const wanted = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).engines.node
  const [major, minor] = wanted.match(/\d+/g).map(Number)
  const [ownMajor, ownMinor] = process.versions.node.split('.').map(Number)
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return
  console.error(`sluice: Node.js ${major}.${minor} or newer is needed, this is ${process.versions.node}.`)
  process.exit(1)
}
