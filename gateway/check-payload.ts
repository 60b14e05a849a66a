import { InvalidInput } from '../platform/errors.ts'
import type { DomainError } from '../platform/errors.ts'
import { SenmlError } from '../senml/errors.ts'
import { parseCbor, parseJson } from '../senml/parse.ts'
import { resolve } from '../senml/resolve.ts'
import { SENML_OPTIONS } from '../services/messages/payload.ts'

/**
 * Looks into a payload that says it is SenML, as the writer will (contract D31).
 *
 * @returns what is wrong, naming the record and the field
 */
export function checkPayload(contentType: string, payload: Uint8Array): DomainError | undefined {
  try {
    const records =
      contentType === 'application/senml+cbor'
        ? parseCbor(payload, SENML_OPTIONS)
        : parseJson(payload, SENML_OPTIONS)
    resolve(records, Date.now() / 1_000)
    return undefined
  } catch (error) {
    if (!(error instanceof SenmlError)) throw error
    return new InvalidInput(error.message, { cause: error, code: error.code })
  }
}
