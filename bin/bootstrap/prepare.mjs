import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, needsBuild } from './build.mjs'
import { install, needsInstall } from './install.mjs'
import { withLock } from './lock.mjs'
import { fetchNatsServer, findNatsServer } from './nats-server.mjs'

/** The project's folder. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Makes ready what a command needs, all of it inside the project's folder. What is there already costs a few milliseconds.
 *
 * @param needs which of nats-server and the compiled sources this command wants
 * @returns path of nats-server where it was wanted
 */
export async function prepare({ natsServer, compiled }) {
  let server = natsServer ? await findNatsServer(root, process.env) : undefined
  const isReady = () =>
    !needsInstall(root) && !(compiled && needsBuild(root)) && !(natsServer && server === undefined)
  if (isReady()) return server
  return withLock(join(root, '.cache', 'prepare.lock'), async () => {
    // Another command may have done it while we waited.
    if (natsServer)
      server ??= (await findNatsServer(root, process.env)) ?? (await fetchNatsServer(root, process.env))
    if (needsInstall(root)) await install(root)
    if (compiled && needsBuild(root)) await build(root)
    return server
  })
}
