import type { Address, RowName } from './job.ts'

/** A line of the table, and what is asked of it. */
export interface RowPlan {
  readonly row: RowName
  readonly what: string
  readonly unit: string
  /** What a server needs to be measured. */
  readonly port: 'mqttPort' | 'httpPort' | 'wsPort'
  /** Whether less is better. */
  readonly isCost?: true
  /** For adapters alone; everything in one process is allowed half. */
  readonly bars: readonly Bar[]
  /** Measured once, however many rounds the others have. */
  readonly isOnce?: true
}

export interface Bar {
  /** Name of the server that the value is held against; the value itself when absent. */
  readonly beside?: string
  readonly bound: number
}

export const SLUICE = 'Sluice (adapters)'
export const SLUICE_ALL = 'Sluice (all)'
export const AEDES = 'bare Aedes'
export const HTTP = 'bare node:http'
export const WS = 'bare ws'
export const MOSQUITTO = 'Mosquitto'
export const NATS = 'nats-server MQTT'

export const ROWS: readonly RowPlan[] = [
  // First: a heap that has grown before has room for all of them.
  {
    row: 'idle',
    what: '10,000 idle connections',
    unit: 'bytes each',
    port: 'mqttPort',
    isCost: true,
    isOnce: true,
    bars: [{ beside: AEDES, bound: 1.3 }],
  },
  {
    row: 'qos0',
    what: 'MQTT QoS 0, 10 to 10',
    unit: 'messages/s',
    port: 'mqttPort',
    bars: [{ beside: AEDES, bound: 0.8 }],
  },
  {
    row: 'qos1',
    what: 'MQTT QoS 1, 10 to 10',
    unit: 'messages/s',
    port: 'mqttPort',
    bars: [
      { beside: AEDES, bound: 0.7 },
      { beside: NATS, bound: 0.9 },
    ],
  },
  { row: 'fanout', what: 'MQTT QoS 0, 1 to 500', unit: 'deliveries/s', port: 'mqttPort', bars: [] },
  {
    row: 'http',
    what: 'HTTP, 32 connections',
    unit: 'messages/s',
    port: 'httpPort',
    bars: [{ beside: HTTP, bound: 0.6 }],
  },
  {
    row: 'ws',
    what: 'WebSocket, 1 to 500',
    unit: 'deliveries/s',
    port: 'wsPort',
    bars: [{ beside: WS, bound: 0.7 }],
  },
  { row: 'connects', what: 'MQTT connects', unit: 'connections/s', port: 'mqttPort', bars: [] },
  {
    row: 'latency',
    what: 'publish to deliver, 2,000/s',
    unit: 'ms (p99)',
    port: 'mqttPort',
    isCost: true,
    bars: [{ bound: 10 }],
  },
]

/** "Everything in one process: at least half of each." */
export function boundFor(name: string, { isCost }: RowPlan, { bound }: Bar): number {
  if (name === SLUICE) return bound
  return isCost ? bound * 2 : bound / 2
}

export const canRun = (address: Address, plan: RowPlan): boolean => address[plan.port] !== undefined
