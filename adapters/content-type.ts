import { UnsupportedMediaType } from '../platform/errors.ts'

/** Types whose payloads are checked at the door and stored as readings. */
export const SENML_TYPES: ReadonlySet<string> = new Set(['application/senml+json', 'application/senml+cbor'])

/** The last two are delivered live and not stored (api.md 11). */
const ACCEPTED_TYPES = ['application/json', ...SENML_TYPES, 'application/octet-stream', 'text/plain']

const mediaType = (text: string | undefined): string =>
  (text ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''

/** Whether devices may send it. */
export function isAcceptedContentType(text: string | undefined): boolean {
  return ACCEPTED_TYPES.includes(mediaType(text))
}

/**
 * The media type out of a `Content-Type`: lower case, parameters dropped.
 *
 * @throws {UnsupportedMediaType} missing, or none that devices may send
 */
export function readContentType(text: string | undefined): string {
  const type = mediaType(text)
  if (!ACCEPTED_TYPES.includes(type)) throw new UnsupportedMediaType(ACCEPTED_TYPES)
  return type
}
