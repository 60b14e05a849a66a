import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from './failure.mjs'
import { runProgram } from './process.mjs'

/** Whether this is Debian, Ubuntu or one of their kind. */
export function canUseDebian() {
  try {
    return /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'))
  } catch {
    return false
  }
}

/** Unpacks the distribution's package, which apt has checked, without installing it. */
export async function fetchFromDebian(work) {
  // As root, apt downloads as a user who may have no way into our folder; the setting means nothing for others.
  const asOurselves = ['-o', 'APT::Sandbox::User=']
  const download = [...asOurselves, 'download', 'nats-server']
  let { status, text } = await runProgram('apt-get', download, { cwd: work, quiet: true })
  if (status !== 0) {
    // No lists, or old ones: fetched into our own folder, so that this works for everybody and touches nothing else.
    const own = [...ownLists(work), ...asOurselves]
    await runProgram('apt-get', [...own, 'update'], { cwd: work, quiet: true })
    ;({ status, text } = await runProgram('apt-get', [...own, 'download', 'nats-server'], {
      cwd: work,
      quiet: true,
    }))
  }
  const archive = readdirSync(work).find((name) => name.endsWith('.deb'))
  if (status !== 0 || archive === undefined) throw new Failure(`apt-get says: ${lastLine(text)}`)
  const unpacked = await runProgram('dpkg', ['-x', archive, 'unpacked'], { cwd: work, quiet: true })
  if (unpacked.status !== 0) throw new Failure(`dpkg says: ${lastLine(unpacked.text)}`)
  return join(work, 'unpacked', 'usr', 'sbin', 'nats-server')
}

function ownLists(work) {
  const lists = join(work, 'lists')
  const cache = join(work, 'archives')
  mkdirSync(join(lists, 'partial'), { recursive: true })
  mkdirSync(join(cache, 'archives', 'partial'), { recursive: true })
  return ['-o', `Dir::State::Lists=${lists}`, '-o', `Dir::Cache=${cache}`]
}

function lastLine(text) {
  return text.trim().split('\n').at(-1) ?? ''
}
