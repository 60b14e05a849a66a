import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'

const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

/**
 * Keyed hashes and sealed boxes under one master key that is not in the database: a stolen dump alone tells no secret and
 * forges no token.
 */
export interface Vault {
  /** HMAC-SHA-256 of the value; a different key for each purpose, so that hashes of two purposes never compare. */
  hash(purpose: string, value: string): Buffer
  /** AES-256-GCM; the purpose is bound in as additional data. */
  seal(purpose: string, value: Uint8Array): Buffer
  /** @throws when the box was sealed under another master key or for another purpose, or was tampered with */
  open(purpose: string, box: Uint8Array): Buffer
}

/** @param masterKey 32 bytes */
export function createVault(masterKey: Uint8Array): Vault {
  if (masterKey.byteLength !== KEY_BYTES) throw new RangeError(`the master key must have ${KEY_BYTES} bytes`)
  const derive = (label: string) =>
    Buffer.from(hkdfSync('sha256', masterKey, '', `sluice ${label}`, KEY_BYTES))
  const sealKey = derive('seal')
  const hashKeys = new Map<string, Buffer>()

  return {
    hash(purpose, value) {
      let key = hashKeys.get(purpose)
      if (!key) hashKeys.set(purpose, (key = derive(`hash ${purpose}`)))
      return createHmac('sha256', key).update(value).digest()
    },
    seal(purpose, value) {
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv('aes-256-gcm', sealKey, iv).setAAD(Buffer.from(purpose))
      return Buffer.concat([iv, cipher.update(value), cipher.final(), cipher.getAuthTag()])
    },
    open(purpose, box) {
      const iv = box.subarray(0, IV_BYTES)
      const tag = box.subarray(box.byteLength - TAG_BYTES)
      const decipher = createDecipheriv('aes-256-gcm', sealKey, iv)
        .setAAD(Buffer.from(purpose))
        .setAuthTag(tag)
      return Buffer.concat([
        decipher.update(box.subarray(IV_BYTES, box.byteLength - TAG_BYTES)),
        decipher.final(),
      ])
    },
  }
}
