import { readFile } from 'node:fs/promises'
import { run } from '@stricli/core'
import { createCli } from './commands/cli.ts'
import type { Context } from './commands/context.ts'
import { systemClock } from './lib/clock.ts'

/** Milliseconds from the first signal until the process ends in any case. */
const STOP_LIMIT = 20_000

/** The exit code for a command line that can't be understood; other failures are 1. */
const USAGE = 2

/** Milliseconds in which a repeated signal is the same Ctrl-C: the terminal sends one, `npx` and `bun run` pass it on. */
const ECHO = 1000

const stopping = new AbortController()
let stoppedAt = 0
/** Milliseconds that a command wants for its stop besides. */
let more = 0

function onSignal(signal: 'SIGINT' | 'SIGTERM'): void {
  const now = systemClock.now().getTime()
  if (stopping.signal.aborted) {
    if (now - stoppedAt < ECHO) return
    // A second one: somebody does not want to wait.
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }
  stoppedAt = now
  stopping.abort()
  setTimeout(() => {
    process.stderr.write(`Not everything stopped within ${(STOP_LIMIT + more) / 1000} seconds; ending now.\n`)
    process.exit(1)
  }, STOP_LIMIT + more).unref()
}

/**
 * `-c FILE` may stand before the command, as MAS takes it; the parser knows it after the command only. Alone it runs the
 * server, as there.
 */
function configLast(given: readonly string[]): string[] {
  const moved: string[] = []
  let at = 0
  for (;;) {
    const [word = '', value] = given.slice(at, at + 2)
    if ((word === '-c' || word === '--config') && value !== undefined) moved.push('--config', value)
    else if (word.startsWith('--config=')) moved.push('--config', word.slice('--config='.length))
    else break
    at += word.includes('=') ? 1 : 2
  }
  const rest = given.slice(at)
  if (rest.length === 0 && moved.length > 0) return ['server', ...moved]
  const separator = rest.indexOf('--')
  const end = separator < 0 ? rest.length : separator
  return [...rest.slice(0, end), ...moved, ...rest.slice(end)]
}

const version = async (): Promise<string> =>
  JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')).version

const { stdout, stderr, stdin, env } = process
const target: Context['process'] = { stdout, stderr, env }
const context: Context = {
  process: target,
  env,
  stdin,
  isTerminal: stderr.isTTY === true,
  signal: stopping.signal,
  stopTakes(seconds) {
    more = seconds * 1000
  },
  onHangup: (listener) => process.on('SIGHUP', listener),
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => onSignal(signal))
// A reader that went away (`latchkey … | head`) must not end a server.
for (const stream of [stdout, stderr]) stream.on('error', () => {})
process.on('unhandledRejection', (error) =>
  stderr.write(`Unexpected: ${error instanceof Error ? error.stack : error}\n`),
)

await run(createCli(version), configLast(process.argv.slice(2)), context)
const code = Number(target.exitCode ?? 0)
// Written out first: exit() does not wait for pipes.
for (const stream of [stdout, stderr]) await new Promise((resolve) => stream.write('', resolve))
process.exit(code >= 0 ? code : code === -4 || code === -5 ? USAGE : 1)
