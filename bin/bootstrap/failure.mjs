/** The command cannot go on; the message is the one sentence that says why and what to do. */
export class Failure extends Error {}

/** Runs a command's body; what it cannot do something about ends in one sentence and exit status 1. */
export async function run(body) {
  try {
    await body()
  } catch (error) {
    console.error(error instanceof Failure ? `sluice: ${error.message}` : error)
    process.exit(1)
  }
}
