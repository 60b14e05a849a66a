/**
 * What a writer went by does not hold any more: another writer has moved the position, or series were removed. Nothing was
 * stored, and nothing is lost; begun anew, it goes by what holds now.
 */
export class Outdated extends Error {}
