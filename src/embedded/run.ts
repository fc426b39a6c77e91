// node:child_process: Bun.spawn takes no uid and gid.
import { spawn } from 'node:child_process'

/** The account that PostgreSQL runs under; undefined for our own. */
export type Account = { uid: number; gid: number } | undefined

/** What PostgreSQL's programs see: none of our environment, so that no PG* or locale variable changes what they do. */
export const environment = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

/** Runs a program to its end; gives its exit code (undefined when it could not be started) and what it wrote. */
export function run(
  program: string,
  args: readonly string[],
  account: Account,
): Promise<{ code: number | undefined; output: string }> {
  return new Promise((resolve) => {
    let output = ''
    const child = spawn(program, args, {
      ...account,
      env: environment,
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.on('data', (data) => {
      output += data
    })
    child.stderr.on('data', (data) => {
      output += data
    })
    child.on('error', (error) => resolve({ code: undefined, output: error.message }))
    child.on('close', (code) => resolve({ code: code ?? undefined, output }))
  })
}
