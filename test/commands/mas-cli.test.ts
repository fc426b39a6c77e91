import { describe, expect, test } from 'bun:test'
import { run } from '@stricli/core'
import { createCli } from '../../src/commands/cli.ts'
import type { Context } from '../../src/commands/context.ts'

/** Reading it is the first thing that a command does: what gets here was understood. */
const NOWHERE = '/no/such/config.yaml'

/** Runs a command in this process; gives its exit code and what it said. */
async function latchkey(line: string): Promise<{ code: number; said: string }> {
  let said = ''
  const stream = {
    write(text: string) {
      said += text
    },
  }
  const target: Context['process'] = { stdout: stream, stderr: stream, env: {} }
  const context: Context = {
    process: target,
    env: {},
    stdin: process.stdin,
    isTerminal: false,
    signal: new AbortController().signal,
    stopTakes() {},
    onHangup() {},
  }
  await run(
    createCli(async () => '0'),
    line.split(' '),
    context,
  )
  return { code: Number(target.exitCode ?? 0), said }
}

/** Every subcommand of `mas-cli` with every flag and argument, in reference operations 3, line by line. */
const LINES = [
  'config check',
  'config dump -o out.yaml',
  'config sync --prune --dry-run',
  'database migrate',
  'server --no-migrate --no-worker --no-sync',
  'server --migrate',
  'worker',
  'templates check --out-dir pages --stabilise',
  'debug policy',
  'debug policy --with-dynamic-data',
  'manage add-email alice alice@example.org',
  'manage verify-email alice alice@example.org',
  'manage set-password alice --ignore-complexity',
  'manage promote-admin alice',
  'manage demote-admin alice',
  'manage list-admin-users',
  'manage issue-compatibility-token alice',
  'manage issue-compatibility-token alice DEVICE --yes-i-want-to-grant-synapse-admin-privileges',
  'manage issue-user-registration-token --token text --usage-limit 2 --expires-in 60',
  'manage issue-user-registration-token --unlimited',
  'manage provision-all-users',
  'manage kill-sessions alice --dry-run',
  'manage lock-user alice --deactivate',
  'manage unlock-user alice --reactivate',
  'manage register-user alice -y',
  'manage register-user alice --yes --email a@example.org --email b@example.org --admin --display-name Alice',
  'manage register-user alice -e a@example.org -m 01J44Q10GR4AMTFZEEF936DTCM:alice -A -d Alice',
  'manage register-user alice --upstream-provider-mapping 01J44Q10GR4AMTFZEEF936DTCM:a --no-admin',
  'manage register-user alice -a --ignore-password-complexity',
]

describe('mas-cli: what its scripts say is understood (reference operations 3)', () => {
  test.each(LINES)('%s', async (line) => {
    for (const config of ['-c', '--config']) {
      const { code, said } = await latchkey(`${line} ${config} ${NOWHERE}`)
      expect({ code, said }).toEqual({ code: 1, said: expect.stringContaining(NOWHERE) })
    }
  })

  test('doctor: a configuration that is not there is a finding', async () => {
    const { code, said } = await latchkey(`doctor -c ${NOWHERE}`)
    expect({ code, said }).toEqual({ code: 1, said: expect.stringContaining(NOWHERE) })
  })

  test('config generate --synapse-config, several', async () => {
    const line = 'config generate -o /no/such/out.yaml --synapse-config'
    const { code, said } = await latchkey(`${line} /no/such/homeserver.yaml --synapse-config b.yaml`)
    expect({ code, said }).toEqual({ code: 1, said: expect.stringContaining('/no/such/homeserver.yaml') })
  })

  test.each([
    'manage set-password alice hunter2',
    'manage register-user alice -p hunter2',
    'manage register-user alice --password hunter2',
  ])('%s: refused, not shown', async (line) => {
    const { code, said } = await latchkey(`${line} -c ${NOWHERE}`)
    expect({ code, said }).toEqual({ code: 1, said: expect.stringContaining('standard input') })
    expect(said).not.toContain('hunter2')
  })

  test.each([
    'syn2mas check --synapse-config a.yaml --synapse-config b.yaml --ignore-missing-auth-providers',
    'syn2mas migrate --synapse-config a.yaml --synapse-database-uri postgres:///synapse --dry-run',
  ])('%s: a sentence on what there is instead', async (line) => {
    const { code, said } = await latchkey(`${line} -c ${NOWHERE}`)
    expect({ code, said }).toEqual({ code: 1, said: expect.stringContaining('latchkey config generate') })
  })

  test('register-user: both --admin and --no-admin', async () => {
    expect((await latchkey('manage register-user alice -a -A')).said).toMatch(/^Choose one/)
  })

  test('a flag that there is not, a missing argument: a usage error', async () => {
    for (const line of [
      'debug policy --dynamic',
      'manage add-email alice',
      'manage lock-user',
      'config synk',
    ])
      expect((await latchkey(line)).code).toBeLessThan(-3)
  })
})
