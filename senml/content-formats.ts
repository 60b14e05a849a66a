/**
 * Media types and the CoAP Content-Format numbers they have (RFC 8428 section 12.5, table 8; RFC 8790 section 7.1).
 * This library reads and writes JSON and CBOR; XML and EXI are here to be recognised.
 */
export const ContentFormat = {
  senmlJson: 110,
  sensmlJson: 111,
  senmlCbor: 112,
  sensmlCbor: 113,
  senmlExi: 114,
  sensmlExi: 115,
  senmlXml: 310,
  sensmlXml: 311,
  senmlEtchJson: 320,
  senmlEtchCbor: 322,
} as const

export type ContentFormatNumber = (typeof ContentFormat)[keyof typeof ContentFormat]

const MEDIA_TYPES: Readonly<Record<ContentFormatNumber, string>> = {
  110: 'application/senml+json',
  111: 'application/sensml+json',
  112: 'application/senml+cbor',
  113: 'application/sensml+cbor',
  114: 'application/senml-exi',
  115: 'application/sensml-exi',
  310: 'application/senml+xml',
  311: 'application/sensml+xml',
  320: 'application/senml-etch+json',
  322: 'application/senml-etch+cbor',
}

const NUMBERS: ReadonlyMap<string, ContentFormatNumber> = new Map(
  Object.values(ContentFormat).map((number) => [MEDIA_TYPES[number], number]),
)

/** The media type of a SenML content format. */
export function mediaTypeOf(format: ContentFormatNumber): string {
  return MEDIA_TYPES[format]
}

/**
 * The content format of a media type, undefined if it is none of SenML's.
 *
 * @param mediaType as a Content-Type header has it: parameters are passed over, upper and lower case are the same
 */
export function contentFormatOf(mediaType: string): ContentFormatNumber | undefined {
  const [type = ''] = mediaType.split(';', 1)
  return NUMBERS.get(type.trim().toLowerCase())
}
