import { link, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ConfigError } from '../config/report.ts'
import { codeOf } from '../lib/thrown.ts'
import { createLog } from '../telemetry/log.ts'
import { CommandError, type Context, say } from './context.ts'
import { reasonOf } from './explain.ts'
import type { ConfigOnly } from './flags.ts'
import { newConfig } from './generate.ts'
import { embeddedFolder, type Loaded, load } from './load.ts'
import { serve } from './serve.ts'

const FOLDER = 'data'

/** `latchkey start`: sets up what is missing, then runs the server and tells a person how to go on. */
export default async function start(this: Context, flags: ConfigOnly): Promise<void> {
  const loaded = await loadOrCreate(this, flags.config)
  this.stopTakes(loaded.config.http.drain_delay)
  const log = createLog({ json: !this.isTerminal, level: 'info' })
  await serve({
    loaded,
    log,
    progress: (line) => say(this, line),
    signal: this.signal,
    load: () => load(this, flags.config),
    migrate: true,
    sync: true,
    worker: true,
    ready: (_, accounts) => say(this, welcome(loaded, accounts)),
  })
  say(this, 'Latchkey has stopped. Everything is kept for the next start.')
}

async function loadOrCreate(context: Context, files: readonly string[] | undefined): Promise<Loaded> {
  try {
    return await load(context, files)
  } catch (error) {
    const { LATCHKEY_CONFIG, MAS_CONFIG } = context.env
    const named = files?.length || LATCHKEY_CONFIG !== undefined || MAS_CONFIG !== undefined
    if (named || !(error instanceof ConfigError && error.reason === 'missing')) throw error
  }
  const path = join(FOLDER, 'config.yaml')
  say(context, `First start: writing ${path} with fresh secrets and keys.`)
  await writeNewConfig(path)
  return load(context, undefined)
}

/** Complete or not at all, and never over a file that another start has just written. */
async function writeNewConfig(path: string): Promise<void> {
  const folder = dirname(path)
  const draft = `${path}.${process.pid}`
  try {
    // As root, others may pass through (not look): PostgreSQL does not run as root, and its files are in here.
    await mkdir(folder, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 })
    await writeFile(draft, await newConfig(undefined), { mode: 0o600, flag: 'wx' })
    await link(draft, path).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
  } catch (cause) {
    throw new CommandError(
      `Latchkey can't write in ${resolve(folder)} (${reasonOf(cause)}); start it in a folder of your own, or give this user that folder.`,
      { cause },
    )
  } finally {
    await rm(draft, { force: true }).catch(() => undefined)
  }
}

/** What a person needs to know at the start. */
function welcome({ config, files, ...rest }: Loaded, accounts: boolean): string {
  const { http, account, matrix, passwords } = config
  const local = /^(localhost|127\..*|\[::1\])$/.test(new URL(http.public_base).hostname)
  const open = passwords.enabled && account.password_registration_enabled
  const standalone = matrix.kind === 'standalone'
  return [
    '',
    `Latchkey is ready. Open ${http.public_base}`,
    '',
    ...(open && local
      ? [
          `  Anyone on this machine can make an account there${account.password_registration_email_required ? '' : ', without an email address'}. Other machines`,
          "  can't reach it.",
        ]
      : []),
    ...(open && standalone && !accounts ? ['  The first account becomes an admin.'] : []),
    ...(standalone
      ? ['  No homeserver is connected yet. docs/installation.md shows how to connect Synapse.']
      : [`  Homeserver: ${matrix.homeserver} at ${matrix.endpoint}`]),
    '',
    `  Configuration: ${files.join(', ') || 'the environment'}`,
    ...(config.database
      ? []
      : [`  Database:      ${embeddedFolder({ ...rest, files })} (the embedded PostgreSQL)`]),
    '',
    '  Ctrl-C stops it. The next start goes on where this one ended.',
    '',
  ].join('\n')
}
