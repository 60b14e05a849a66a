/** Fields of packets, written in place. All that write return where the next field begins. */

export function variableBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4
}

export function writeVariable(bytes: Buffer, at: number, value: number): number {
  let position = at
  let rest = value
  while (rest >= 128) {
    bytes[position] = (rest & 0x7f) | 0x80
    position += 1
    rest >>>= 7
  }
  bytes[position] = rest
  return position + 1
}

/** Bytes of a string with its length in front. */
export const stringBytes = (text: string): number => 2 + Buffer.byteLength(text)

export function writeString(bytes: Buffer, at: number, text: string): number {
  const length = bytes.write(text, at + 2)
  bytes.writeUInt16BE(length, at)
  return at + 2 + length
}

export function writeBinary(bytes: Buffer, at: number, data: Uint8Array): number {
  bytes.set(data, bytes.writeUInt16BE(data.length, at))
  return at + 2 + data.length
}
