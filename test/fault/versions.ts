import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { $ } from 'bun'
import { seedClient } from '../bench/seed.ts'
import { signUp, WEB_CLIENT } from '../support/oauth.ts'
import { browserOn } from './browser-on.ts'
import { createDeployment, type Latchkey } from './deployment.ts'
import { beginLoad, seedApps, stillSignedIn } from './load.ts'
import { createDatabase, createPostgres } from './postgres.ts'
import type { Fault } from './report.ts'
import { said } from './under-load.ts'

const CHECKOUT = join(import.meta.dirname, '..', '..')
/** Migrations that the older version does not know, unless it is named. */
const BEHIND = 4

/** The commit before the one that brought the fourth newest migration; undefined without a history. */
async function olderCommit(): Promise<string | undefined> {
  if (process.env.FAULT_OLD_VERSION) return process.env.FAULT_OLD_VERSION
  const log = await $`git log --diff-filter=A --format=%H -n ${BEHIND} -- sql/migrations`
    .cwd(CHECKOUT)
    .nothrow()
    .quiet()
  const commit = log.stdout.toString().trim().split('\n').at(-1)
  return log.exitCode === 0 && commit ? `${commit}~1` : undefined
}

const sideBySide: Fault = {
  name: 'two-versions',
  title:
    'an older version serves, the database is migrated under it, the new one serves beside it, the older one stops',
  async run(report) {
    const commit = await olderCommit()
    if (!commit) return report.skip('there is no history of versions here; name one in FAULT_OLD_VERSION')
    const checkout = await mkdtemp(join(tmpdir(), 'latchkey-fault-old-'))
    const postgres = await createPostgres()
    try {
      await $`git archive ${commit} | tar -x -C ${checkout}`.cwd(CHECKOUT).quiet()
      await $`${process.execPath} install --frozen-lockfile --production`.cwd(checkout).quiet()
      await postgres.start()
      const deployment = await createDeployment(await createDatabase(postgres, 'versions'), {
        migrated: false,
      })
      try {
        await deployment.command(['database', 'migrate'], { checkout })
        const client = await seedClient(deployment.sql, WEB_CLIENT.redirect_uris[0] ?? '')
        const apps = await seedApps(deployment.sql, client.id, 12)
        const old = await deployment.begin({ checkout, worker: true })
        const serving: Latchkey[] = [old]
        const load = beginLoad(() => serving, client.clientId, apps)
        await Bun.sleep(2000)
        await deployment.command(['database', 'migrate'])
        await Bun.sleep(2000)
        const current = await deployment.begin({ worker: true })
        serving.push(current)
        await Bun.sleep(6000)
        const failed: string[] = []
        for (const [name, server] of [
          ['older', old],
          ['newer', current],
        ] as const)
          await signUp(browserOn([server]), name).catch((error: Error) =>
            failed.push(`${name}: ${error.message.slice(0, 200)}`),
          )
        // As a balancer that is told before.
        serving.shift()
        await Bun.sleep(2000)
        old.kill('SIGTERM')
        await old.ended
        await Bun.sleep(2000)
        await load.stop()
        const { tally } = load
        const before = (await readdir(join(checkout, 'sql', 'migrations'))).length
        const now = (await readdir(join(CHECKOUT, 'sql', 'migrations'))).length
        report.check(
          'the older version has fewer migrations',
          before < now,
          `${before} and ${now}, ${commit.slice(0, 12)}`,
        )
        report.check(
          'every request is answered with 200',
          tally.of(200) === tally.requests(),
          said(tally.wrong, tally.text()),
        )
        report.check(
          'no connection to the service breaks',
          tally.broken.length === 0,
          said(tally.broken, `${tally.requests()} requests`),
        )
        report.check('people sign up at both', failed.length === 0, said(failed, '2'))
        const wrong = await stillSignedIn(current, client.clientId, apps)
        report.check(
          'nobody is signed out: what one version gave the other takes',
          wrong.length === 0 && load.signedOut.length === 0,
          said([...wrong, ...load.signedOut], `${apps.length} apps`),
        )
      } finally {
        await deployment.close()
      }
    } finally {
      await postgres.remove()
      await rm(checkout, { recursive: true, force: true })
    }
  },
}

export const versionFaults: readonly Fault[] = [sideBySide]
