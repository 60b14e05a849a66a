const INTERVAL_MS = 200

/**
 * Under `npm start`, ends this process as SIGTERM does when npm is gone. Who kills npm means the gateway, and one that ran
 * on unseen would hold the ports and the data against the next start.
 */
export function stopWithNpm() {
  if (process.env.npm_lifecycle_event === undefined) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    process.kill(process.pid, 'SIGTERM')
  }, INTERVAL_MS)
  timer.unref()
}
