/**
 * Where Magistrala's clients look for each service by default (contract 1.1). Every one of them serves everything. 80 and 443
 * are not among them: they take rights that a gateway should not need, and are opened only when asked for by number.
 */
export const COMPAT_PORTS: readonly number[] = [
  8008, 8186, 9001, 9002, 9003, 9004, 9005, 9006, 9008, 9009, 9011, 9013, 9016, 9017, 9019, 9021, 8050,
]
