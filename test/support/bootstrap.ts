/** What the bootstrap's modules offer, for the type checker: they are plain JavaScript, which it does not read. */
interface Bootstrap {
  'nats-server': {
    findNatsServer: (root: string, env: NodeJS.ProcessEnv) => Promise<string | undefined>
    fetchNatsServer: (root: string, env: NodeJS.ProcessEnv) => Promise<string>
  }
  'nats-debian': { canUseDebian: () => boolean; fetchFromDebian: (work: string) => Promise<string> }
  install: { needsInstall: (root: string) => boolean }
  build: { needsBuild: (root: string) => boolean }
  lock: { withLock: <Result>(file: string, body: () => Promise<Result>) => Promise<Result> }
}

export async function bootstrap<Name extends keyof Bootstrap>(name: Name): Promise<Bootstrap[Name]> {
  const url = new URL(`../../bin/bootstrap/${name}.mjs`, import.meta.url).href
  return (await import(url)) as Bootstrap[Name]
}
