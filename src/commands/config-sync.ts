import type { Db } from '../../sql/connect.ts'
import { lockStaticClients } from '../../sql/static-clients.ts'
import type { Deps } from '../deps.ts'
import { transact } from '../lib/transact.ts'
import { syncProviders } from '../upstream/sync.ts'
import { type Context, say } from './context.ts'
import type { ConfigOnly } from './flags.ts'
import { counted } from './manage/accounts.ts'
import { runJobs, withLatchkey } from './manage/with-latchkey.ts'
import { type PlannedProvider, type ProviderPlan, planProviders, pruneProviders } from './provider-plan.ts'
import { type PlannedClient, planSync, pruneClients, type SyncPlan, syncClients } from './static-clients.ts'

interface SyncFlags extends ConfigOnly {
  prune?: boolean
  dryRun?: boolean
  json?: boolean
}

/** What the configuration changes in the database, or would. */
interface Plan extends SyncPlan {
  providers: ProviderPlan
}

/**
 * `latchkey config sync`: writes the clients and providers of the configuration into the database, as a start does, and
 * with `--prune` removes those that left it. As in MAS the database is brought up to date first, but never by a dry run.
 */
export default async function sync(this: Context, flags: SyncFlags): Promise<void> {
  await withLatchkey(
    this,
    flags,
    async (deps) => {
      const plan = flags.dryRun
        ? await planAll(deps)
        : await transact(deps.sql, (tx) => syncAll(deps, tx, flags.prune ?? false))
      if (!flags.dryRun) await runJobs(deps)
      if (flags.json) say(this, JSON.stringify({ dry_run: flags.dryRun ?? false, ...recordOf(plan, flags) }))
      else for (const line of linesOf(plan, flags)) say(this, line)
    },
    { migrate: true },
  )
}

const planAll = async (deps: Deps, db: Db = deps.sql): Promise<Plan> => ({
  ...(await planSync(deps, db)),
  providers: await planProviders(deps, db),
})

async function syncAll(deps: Deps, tx: Db, prune: boolean): Promise<Plan> {
  await lockStaticClients(tx)
  const plan = await planAll(deps, tx)
  await syncClients(deps, tx)
  await syncProviders(deps, tx)
  if (!prune) return plan
  if (plan.left.length > 0) await pruneClients(deps, tx, plan)
  await pruneProviders(deps, tx, plan.providers)
  return plan
}

function recordOf({ providers, ...clients }: Plan, { prune }: SyncFlags) {
  const named = <T extends { left: unknown }>({ left, ...rest }: T) =>
    prune ? { ...rest, removed: left } : { ...rest, left }
  return { ...named(clients), providers: named(providers) }
}

function linesOf(plan: Plan, { dryRun, prune }: SyncFlags): string[] {
  const verb = (done: string, would: string) => (dryRun ? `Would ${would}` : done)
  const linesFor = <T>(
    { added, changed, left }: { added: T[]; changed: (T & { fields: string[] })[]; left: (T & Hanging)[] },
    name: (one: T) => string,
    still: string,
  ) => [
    ...added.map((one) => `${verb('Added', 'add')} ${name(one)}.`),
    ...changed.map((one) => `${verb('Changed', 'change')} ${name(one)}: ${one.fields.join(', ')}.`),
    ...left.map((one) =>
      prune
        ? `${verb('Removed', 'remove')} ${name(one)}, with ${hanging(one)}.`
        : `${name(one)} left the configuration ${still} (${hanging(one)}); --prune removes it.`,
    ),
  ]
  const lines = [
    ...linesFor<PlannedClient>(plan, nameOf, 'and still works'),
    ...linesFor<PlannedProvider>(plan.providers, providerName, 'and is switched off'),
  ]
  if (lines.length === 0) lines.push('The database has what the configuration says.')
  return lines
}

const nameOf = ({ client_id: id, client_name: name }: PlannedClient): string =>
  name === null ? `the client ${id}` : `${name} (${id})`

const providerName = ({ provider_id: id, human_name: name }: PlannedProvider): string =>
  name === null ? `the provider ${id}` : `the provider ${name} (${id})`

type Hanging = { links: number } | Pick<SyncPlan['left'][number], 'sessions' | 'personal_tokens' | 'consents'>

const hanging = (one: Hanging): string =>
  'links' in one
    ? counted(one.links, 'linked account')
    : new Intl.ListFormat('en-GB').format([
        counted(one.sessions, 'active sign-in'),
        counted(one.personal_tokens, 'personal token'),
        counted(one.consents, 'consent'),
      ])
