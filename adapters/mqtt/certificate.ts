import type { PeerCertificate } from 'node:tls'

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
const CLIENT_ID = new RegExp(`^(?:urn:uuid:)?(${UUID})$`, 'i')

/**
 * The clients that a certificate names: those among the URIs of its alternative names, or else its common name. Each as a
 * UUID, `urn:uuid:` in front or not. Who signed it, and whether it holds, is asked elsewhere.
 */
export function clientIdsOf({
  subject,
  subjectaltname,
}: Pick<PeerCertificate, 'subject' | 'subjectaltname'>): string[] {
  const uris = urisOf(subjectaltname ?? '').flatMap(idOf)
  // Several common names come as an array, which its type does not know.
  const names = ([] as (string | undefined)[]).concat(subject?.CN)
  return [...new Set(uris.length > 0 ? uris : names.flatMap(idOf))]
}

const idOf = (name: string | undefined): string[] => {
  const id = CLIENT_ID.exec(name ?? '')?.[1]
  return id === undefined ? [] : [id.toLowerCase()]
}

/** Node quotes a name that holds a comma or a quote; no client id does, and inside the quotes may stand anything. */
function urisOf(subjectAltName: string): string[] {
  return subjectAltName
    .replace(/"(?:[^"\\]|\\.)*"/g, '')
    .split(', ')
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length))
}
