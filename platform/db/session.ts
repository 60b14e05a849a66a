/**
 * What all our sessions ask of the server: to find out within half a minute that our host is gone. Left to the system's
 * defaults, the session of a host that lost its power lives on for two hours, with its locks; among them is the one that says
 * who writes messages. Does nothing on a Unix socket, where no host can be lost. Options in the URL win: they replace these.
 */
const KEEPALIVE = [
  'tcp_keepalives_idle=10',
  'tcp_keepalives_interval=5',
  'tcp_keepalives_count=3',
  'tcp_user_timeout=30000',
]

/** For every connection to Postgres, pooled or not. */
export const SESSION = {
  options: KEEPALIVE.map((setting) => `-c ${setting}`).join(' '),
  // The same the other way round.
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
}
