import { readFileSync } from 'node:fs'

/** Ticks of the clock that `/proc` counts in; 100 a second on every Linux that Node runs on. */
const TICK_US = 10_000

/** Microseconds of CPU that a process has used, all its threads together; `NaN` where there is no `/proc`. */
export function cpuUs(pid: number): number {
  try {
    // Behind the name of the program, which stands in parentheses and may hold blanks.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_US
  } catch {
    return Number.NaN
  }
}

/** Bytes of memory that a process holds; `NaN` where there is no `/proc`. */
export function residentBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1_024
  } catch {
    return Number.NaN
  }
}
