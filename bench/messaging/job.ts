/** What the load process is told to do to one server. */
export interface Job {
  readonly row: RowName
  readonly target: Address
  /** Counted, after so much time that is not. */
  readonly seconds: number
  readonly warmUpSeconds: number
}

/** Where a server is, and how it is spoken to. Only rows that a server has an address for can be run on it. */
export interface Address {
  readonly name: string
  readonly pid: number
  /** Whether it collects its garbage on SIGUSR2. */
  readonly collects: boolean
  /** Topics are this and a slash and a number. */
  readonly topic: string
  readonly publisher: Login
  readonly subscriber: Login
  readonly mqttPort?: number
  readonly httpPort?: number
  readonly wsPort?: number
}

/** Empty where a server asks for none. */
export interface Login {
  readonly username: string
  readonly password: string
}

export type RowName = 'qos0' | 'qos1' | 'fanout' | 'http' | 'ws' | 'connects' | 'idle' | 'latency'

/** What came out of a job. */
export interface Outcome {
  /** Messages (deliveries, requests, connections) a second. For `idle` bytes a connection, for `latency` p99 in ms. */
  readonly value: number
  /** CPU of the server a message. */
  readonly cpuUs: number
  /** Messages of QoS 0 that a server has thrown away. */
  readonly lost: number
  readonly p50?: number
}
