/** Low bits of `samples.place` that say which record of its message a reading was. */
const RECORD_BITS = 20
/** Records of one message that have a place: more than fit into the largest payload that a gateway takes. */
export const MAX_RECORDS = 2 ** RECORD_BITS

const SEQ_IN_LOW = 2 ** (32 - RECORD_BITS)

/** Upper half of `sequence << 20 | record`, which is beyond the integers of a double. */
export const placeHigh = (seq: number) => Math.floor(seq / SEQ_IN_LOW)
/** Lower half. */
export const placeLow = (seq: number, record: number) => (((seq % SEQ_IN_LOW) << RECORD_BITS) | record) >>> 0
