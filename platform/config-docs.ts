import { SETTINGS } from './config-schema.ts'
import type { Setting } from './config-schema.ts'

/** The text of `docs/configuration.md`, written from the settings themselves so that it cannot be out of date. */
export function describeConfig(): string {
  const rows = Object.values<Setting<unknown>>(SETTINGS).map(
    ({ variable, fallback, about }) =>
      `| \`${variable}\` | ${fallback === undefined ? '' : `\`${fallback}\``} | ${about} |`,
  )
  return `# Configuration

<!-- Written by \`npm run docs:config\` out of platform/config-schema.ts. Change it there. -->

Everything is set by environment variables, read once at the start. All problems are named at once, and the process does not
start with any: a value that is not usable, values that do not go together, a name beginning with \`SLUICE_\` that is none of
these. An empty variable counts as one that is not given. Switches take \`1\`, \`true\`, \`0\` and \`false\`.

A process that does not have all roles shares the work with others, so it needs \`SLUICE_NATS_URL\`, and \`SLUICE_DATABASE_URL\`
too unless it has nothing but adapters (\`http\`, \`mqtt\`, \`ws\`).

| variable | default | what it does |
| --- | --- | --- |
${rows.join('\n')}
`
}
