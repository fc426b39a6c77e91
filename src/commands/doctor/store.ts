import { countJobs, countMails, describeDatabase } from '../../../sql/condition.ts'
import { createSql, type Sql } from '../../../sql/connect.ts'
import { findSetting } from '../../../sql/settings.ts'
import { deriveSecrets } from '../../crypto/seal.ts'
import { isThere } from '../../lib/is-there.ts'
import { messageOf } from '../../lib/thrown.ts'
import { createKeyring } from '../../oauth/keyring.ts'
import { embeddedFolder, type Loaded } from '../load.ts'
import { openDatabase, pendingOf } from '../open-database.ts'
import { publishedKeys } from './documents.ts'
import { type Finding, findingsOf, paste } from './finding.ts'
import { DEADLINE } from './reach.ts'
import type { Site } from './site.ts'

/** The oldest PostgreSQL that Latchkey works with, as the server counts. */
const OLDEST = 140_000

/** Seconds that two clocks may differ: tokens of clients are refused when theirs is further off. */
const CLOCK_SECONDS = 5
const CLOCK_LIMIT = 60

/** Milliseconds that a job may be due before somebody should have begun it. */
const PATIENCE = 120_000

/** The database: whether it is reached, new enough, up to date and of this deployment; what is in it besides. */
export async function checkDatabase(site: Site, loaded: Loaded, signal: AbortSignal): Promise<Finding[]> {
  const { failed, skipped } = findingsOf('database')
  const others = (['clock', 'keys', 'queue'] as const).map((check) =>
    findingsOf(check).skipped('The database is not reached.'),
  )
  // Looking must not make one.
  if (!loaded.config.database && !(await isThere(embeddedFolder(loaded))))
    return [
      (site.running ? failed : skipped)(
        'There is no database yet: the configuration names none, and the embedded one was never started.',
        paste('Name one, or try Latchkey with the embedded one:', 'a shell', 'latchkey start'),
      ),
      ...others,
    ]
  await using open = new AsyncDisposableStack()
  try {
    const opened = await openDatabase(loaded, { log: () => {}, signal })
    open.defer(opened.close)
    const database = { ...opened, settings: { ...opened.settings, connect_timeout: DEADLINE / 1000 } }
    const pending = await pendingOf(database)
    const sql = createSql(database.settings, { max: 2, applicationName: 'latchkey doctor', stallTimeout: 10 })
    open.defer(() => sql.end({ timeout: 1 }))
    const [facts] = await describeDatabase(sql)
    if (!facts) return [skipped('The database says nothing.')]
    // One after the other: a doctor needs no pool.
    return [
      ...(await databaseFindings(site, sql, facts, pending)),
      await clockFinding(site, facts.now),
      ...(pending.length > 0
        ? (['keys', 'queue'] as const).map((check) =>
            findingsOf(check).skipped('The database is not up to date.'),
          )
        : [...(await checkKeys(site, sql)), ...(await queueFindings(site, sql, facts.queue))]),
    ]
  } catch (error) {
    return [failed(messageOf(error)), ...others]
  }
}

type Facts = Awaited<ReturnType<typeof describeDatabase>>[number]

async function databaseFindings(
  { config, running }: Site,
  sql: Sql,
  facts: Facts,
  pending: string[],
): Promise<Finding[]> {
  const { ok, warning, failed } = findingsOf('database')
  const version = `${Math.floor(facts.version / 10_000)}.${facts.version % 10_000}`
  const found: Finding[] = []
  if (facts.version < OLDEST)
    found.push(failed(`PostgreSQL ${version} is too old.`, { mend: 'Upgrade it to 14 or later.' }))
  if (facts.read_only)
    found.push(
      failed('The database can only be read: it is a standby, or set to read only.', {
        mend: 'Name the primary in the database section of the configuration.',
      }),
    )
  if (facts.encoding !== 'UTF8')
    found.push(
      warning(
        `The database has the encoding ${facts.encoding}: names with other letters can't be stored.`,
        paste(
          'Make one with UTF-8 and restore a dump into it:',
          'psql',
          "create database latchkey encoding 'UTF8' template template0;",
        ),
      ),
    )
  if (pending.length > 0)
    found.push(
      (running ? failed : warning)(
        `The database is behind this release, from the migration ${pending[0]} on; to be applied: ${pending.length}.`,
        paste('Apply them, or restart the server, which does so:', 'a shell', 'latchkey database migrate'),
      ),
    )
  else {
    const [known] = await findSetting(sql, 'matrix.homeserver')
    if (known && known.value !== config.matrix.homeserver)
      found.push(
        failed(
          `The accounts of this database belong to ${String(known.value)}, and the configuration says ${config.matrix.homeserver}.`,
          paste(
            'A server name can never change; set it back:',
            'config.yaml',
            'matrix:',
            `  homeserver: ${String(known.value)}`,
          ),
        ),
      )
  }
  if (found.length > 0) return found
  return [ok(`PostgreSQL ${version}, database ${facts.name}, up to date.`)]
}

/** This machine's clock, the database's and that of whoever answers at the public address. */
async function clockFinding(site: Site, database: Date): Promise<Finding> {
  const { ok, warning, failed } = findingsOf('clock')
  const heard = await site.discovery()
  const date = heard.answer?.headers.get('date')
  const now = site.clock.now()
  const others: [string, Date][] = [['the database', database]]
  if (date) others.push([heard.url.host, new Date(date)])
  const [worst] = others
    .map(([name, time]) => ({ name, seconds: Math.round((now.getTime() - time.getTime()) / 1000) }))
    .filter(({ seconds }) => Number.isFinite(seconds))
    .sort((a, b) => Math.abs(b.seconds) - Math.abs(a.seconds))
  if (!worst || Math.abs(worst.seconds) <= CLOCK_SECONDS) return ok('The clocks agree.')
  const say = Math.abs(worst.seconds) > CLOCK_LIMIT ? failed : warning
  return say(
    `The clock of this machine is ${Math.abs(worst.seconds)} seconds ${worst.seconds > 0 ? 'ahead of' : 'behind'} that of ${worst.name}: tokens end too early or too late.`,
    paste('Let both follow the same time:', 'a shell', 'timedatectl set-ntp true'),
  )
}

/** The signing keys of the configuration and of the database, and whether the running server publishes them. */
async function checkKeys(site: Site, sql: Sql): Promise<Finding[]> {
  const { ok, warning, failed } = findingsOf('keys')
  const { config, clock } = site
  try {
    const secrets = await deriveSecrets(config.secrets.encryption, config.secrets.previous_encryption)
    const { keyring, warnings } = await createKeyring({ sql, clock, secrets }, config.secrets.keys)
    const { unreadable } = await keyring.reload()
    const found = warnings.map((text) => warning(text))
    if (keyring.jwks.keys.length === 0)
      return [
        failed('There is no key that can sign.', paste('Make some:', 'a shell', 'latchkey keys rotate')),
      ]
    for (const kid of unreadable)
      found.push(
        failed(
          `The key ${kid} of the database can't be opened: secrets.encryption is not the one that sealed it.`,
          {
            mend: `Put the earlier text of secrets.encryption back, or remove the key: latchkey keys remove ${kid}`,
          },
        ),
      )
    const published = site.running ? await publishedKeys(site) : undefined
    const missing = keyring.jwks.keys.filter(({ kid }) => published && !published.has(kid))
    if (missing.length > 0)
      found.push(
        failed(
          `The running server does not publish ${missing.map(({ kid }) => kid).join(', ')}: it has another configuration.`,
          paste('Restart it with this one:', 'a shell', 'systemctl restart latchkey'),
        ),
      )
    if (found.length > 0) return found
    return [ok(`Keys: ${keyring.jwks.keys.length}, for ${keyring.algorithms.join(', ')}.`)]
  } catch (error) {
    return [failed(messageOf(error))]
  }
}

/** Jobs and mails that wait or were given up. */
async function queueFindings({ clock }: Site, sql: Sql, exists: boolean): Promise<Finding[]> {
  const { ok, warning, failed } = findingsOf('queue')
  if (!exists)
    return [
      warning(
        'No server with jobs has run on this database yet.',
        paste('Start one:', 'a shell', 'latchkey server'),
      ),
    ]
  const [jobs] = await countJobs(sql)
  const [mails] = await countMails(sql)
  if (!jobs || !mails) return []
  const { waiting, due, active, dead, oldest } = jobs
  const age = oldest ? clock.now().getTime() - oldest.getTime() : 0
  const counts = `Jobs: ${waiting} waiting, ${active} running, ${dead} given up. Mails: ${mails.waiting} waiting, ${mails.given_up} given up`
  const found: Finding[] = []
  if (age > PATIENCE)
    found.push(
      failed(
        `Jobs are due (${due}), the oldest for ${duration(age)}: no worker runs, or it does not keep up. ${counts}.`,
        paste('Start a server without --no-worker, or:', 'a shell', 'latchkey worker'),
      ),
    )
  if (dead > 0)
    found.push(
      warning(
        `Jobs were given up (${dead}); job.failed in the log says why.`,
        paste(
          'When the reason is mended, tell the homeserver everything again:',
          'a shell',
          'latchkey manage provision-all-users',
        ),
      ),
    )
  if (mails.given_up > 0)
    found.push(
      warning(
        `Mails could not be delivered (${mails.given_up}).`,
        paste(
          'See why, and send them when it is mended:',
          'a shell',
          'latchkey manage list-undelivered-mail',
          'latchkey manage retry-mail',
        ),
      ),
    )
  return found.length > 0
    ? found
    : [ok(`${counts}.${oldest ? ` The oldest job is due for ${duration(age)}.` : ''}`)]
}

const duration = (ms: number): string =>
  ms < 120_000 ? `${Math.max(0, Math.round(ms / 1000))} seconds` : `${Math.round(ms / 60_000)} minutes`
