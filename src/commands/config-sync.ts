import { lockStaticClients } from '../../sql/static-clients.ts'
import { transact } from '../lib/transact.ts'
import { syncProviders } from '../upstream/sync.ts'
import { type Context, say } from './context.ts'
import type { ConfigOnly } from './flags.ts'
import { counted } from './manage/accounts.ts'
import { runJobs, withLatchkey } from './manage/with-latchkey.ts'
import { type PlannedClient, planSync, pruneClients, type SyncPlan, syncClients } from './static-clients.ts'

interface SyncFlags extends ConfigOnly {
  prune?: boolean
  dryRun?: boolean
  json?: boolean
}

/**
 * `latchkey config sync`: writes the clients of the configuration into the database, as a start does, and with `--prune`
 * removes those that left it. As in MAS the database is brought up to date first, but never by a dry run.
 */
export default async function sync(this: Context, flags: SyncFlags): Promise<void> {
  const run = async (
    deps: Parameters<typeof planSync>[0] &
      Parameters<typeof pruneClients>[0] &
      Parameters<typeof syncProviders>[0],
  ) => {
    if (flags.dryRun) return planSync(deps)
    return transact(deps.sql, async (tx) => {
      await lockStaticClients(tx)
      const plan = await planSync(deps, tx)
      await syncClients(deps, tx)
      await syncProviders(deps, tx)
      if (flags.prune && plan.left.length > 0) await pruneClients(deps, tx, plan)
      return plan
    })
  }
  await withLatchkey(
    this,
    flags,
    async (deps) => {
      const plan = await run(deps)
      if (!flags.dryRun) await runJobs(deps)
      if (flags.json) say(this, JSON.stringify({ dry_run: flags.dryRun ?? false, ...recordOf(plan, flags) }))
      else for (const line of linesOf(plan, flags)) say(this, line)
    },
    { migrate: true },
  )
}

const recordOf = ({ left, ...rest }: SyncPlan, { prune }: SyncFlags) =>
  prune ? { ...rest, removed: left } : { ...rest, left }

function linesOf(plan: SyncPlan, { dryRun, prune }: SyncFlags): string[] {
  const verb = (done: string, would: string) => (dryRun ? `Would ${would}` : done)
  const { added, changed, left } = plan
  const lines = [
    ...added.map((client) => `${verb('Added', 'add')} ${nameOf(client)}.`),
    ...changed.map(
      (client) => `${verb('Changed', 'change')} ${nameOf(client)}: ${client.fields.join(', ')}.`,
    ),
    ...left.map((client) =>
      prune
        ? `${verb('Removed', 'remove')} ${nameOf(client)}, with ${hanging(client)}.`
        : `${nameOf(client)} left the configuration and still works (${hanging(client)}); --prune removes it.`,
    ),
  ]
  if (lines.length === 0) lines.push('The database has what the configuration says.')
  return lines
}

const nameOf = ({ client_id: id, client_name: name }: PlannedClient): string =>
  name === null ? `the client ${id}` : `${name} (${id})`

const hanging = ({ sessions, personal_tokens, consents }: SyncPlan['left'][number]): string =>
  new Intl.ListFormat('en-GB').format([
    counted(sessions, 'active sign-in'),
    counted(personal_tokens, 'personal token'),
    counted(consents, 'consent'),
  ])
