import type { JsonSchema, OpenApiDocument, Operation } from './openapi.ts'

const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent) }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1.5rem }
nav { columns: 4 9rem; margin: 1rem 0 2rem }
nav a { display: block }
h2 { border-bottom: 1px solid var(--line); margin-top: 2.5rem }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem }
summary { cursor: pointer }
summary code { font-weight: 600 }
summary .method { display: inline-block; min-width: 4.5rem; text-transform: uppercase }
table { border-collapse: collapse; margin: .5rem 0; width: 100% }
td, th { border-top: 1px solid var(--line); padding: .25rem .6rem .25rem 0; text-align: left; vertical-align: top }
pre { overflow: auto; padding: .6rem; border: 1px solid var(--line); border-radius: 6px }
.quiet { opacity: .7 }
`

/** The API's documentation as one page of HTML that needs no script and nothing from elsewhere. */
export function renderDocs(document: OpenApiDocument): string {
  const groups = new Map<string, string[]>()
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0] ?? ''
      const group = groups.get(tag) ?? []
      group.push(renderOperation(method, path, operation))
      groups.set(tag, group)
    }
  }
  const tags = [...groups.keys()].sort()
  const sections = tags.map(
    (tag) => `<h2 id="${escape(tag)}">${escape(tag)}</h2>${(groups.get(tag) ?? []).join('')}`,
  )
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(document.info.title)} API</title>
<style>${STYLE}</style>
<h1>${escape(document.info.title)} API <span class="quiet">${escape(document.info.version)}</span></h1>
<p>${escape(document.info.description)}. The same for programs: <a href="openapi.json">openapi.json</a>.
Errors have a body <code>{"error": "…", "message": "…"}</code>.</p>
<nav>${tags.map((tag) => `<a href="#${escape(tag)}">${escape(tag)}</a>`).join('')}</nav>
${sections.join('\n')}
</html>
`
}

function renderOperation(method: string, path: string, operation: Operation): string {
  const { parameters, requestBody, responses, security } = operation
  const parts = [`<p class="quiet">${renderSecurity(security)}</p>`]
  if (parameters.length > 0) {
    const rows = parameters.map(
      (one) =>
        `<tr><td><code>${escape(one.name)}</code></td><td>${one.in}${one.required ? ', required' : ''}</td><td><code>${escape(shape(one.schema))}</code></td></tr>`,
    )
    parts.push(`<table><tr><th>parameter</th><th></th><th>form</th></tr>${rows.join('')}</table>`)
  }
  if (requestBody) {
    parts.push(`<p>Body</p><pre>${escape(shape(requestBody.content['application/json'].schema))}</pre>`)
  }
  for (const [status, response] of Object.entries(responses)) {
    if ('$ref' in response) continue
    const schema = response.content?.['application/json'].schema
    parts.push(`<p>Answers ${escape(status)}</p>`, schema ? `<pre>${escape(shape(schema))}</pre>` : '')
  }
  return `<details id="${escape(operation.operationId)}"><summary><code><span class="method">${method}</span> ${escape(path)}</code><br>${escape(operation.summary)}</summary>${parts.join('')}</details>`
}

function renderSecurity(security: Operation['security']): string {
  if (security.length === 0) return 'For anyone'
  return `With ${security.flatMap((one) => Object.keys(one).map(escape)).join(' or ')}`
}

/** A schema as one would write an example of it down. */
function shape(schema: JsonSchema, indent = ''): string {
  const { type, properties, items, anyOf, oneOf, additionalProperties } = schema
  const choices = (anyOf ?? oneOf) as readonly JsonSchema[] | undefined
  if (choices) return choices.map((one) => shape(one, indent)).join(' | ')
  if (schema['enum'] !== undefined) {
    return (schema['enum'] as unknown[]).map((value) => JSON.stringify(value)).join(' | ') + bounds(schema)
  }
  if (schema['const'] !== undefined) return JSON.stringify(schema['const'])
  if (properties) {
    const required = new Set((schema['required'] ?? []) as string[])
    const lines = Object.entries(properties as Record<string, JsonSchema>).map(
      ([name, one]) => `${indent}  ${name}${required.has(name) ? '' : '?'}: ${shape(one, `${indent}  `)}`,
    )
    return `{\n${lines.join('\n')}\n${indent}}`
  }
  if (type === 'array') return `[${shape((items ?? {}) as JsonSchema, indent)}]${bounds(schema)}`
  if (type === 'object') {
    return additionalProperties === undefined || additionalProperties === false ? '{}' : '{ … }'
  }
  return `${typeof type === 'string' ? type : 'any'}${bounds(schema)}`
}

const BOUNDS = ['format', 'minLength', 'maxLength', 'minimum', 'maximum', 'minItems', 'maxItems', 'default']

function bounds(schema: JsonSchema): string {
  const found = BOUNDS.flatMap((name) => {
    const value = schema[name]
    const isTold = value !== undefined && value !== Number.MAX_SAFE_INTEGER
    return isTold ? [`${name} ${JSON.stringify(value)}`] : []
  })
  return found.length === 0 ? '' : ` (${found.join(', ')})`
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escape = (text: string) => text.replace(/[&<>"]/g, (character) => ESCAPES[character] ?? '')
