import type { Loaded } from '../load.ts'
import { expired } from '../stopping.ts'
import { checkAdminApi } from './admin-api.ts'
import { checkDiscovery, checkWellKnown } from './documents.ts'
import { type Finding, findingsOf } from './finding.ts'
import { checkHomeserver, checkSecretIn, checkSecretOut } from './homeserver.ts'
import { checkDirectory } from './ldap.ts'
import { checkLegacyRoutes } from './legacy.ts'
import { checkMail } from './mail.ts'
import { checkAddress, checkNames } from './names.ts'
import { whyNot } from './reach.ts'
import type { Site } from './site.ts'
import { checkDatabase } from './store.ts'
import { checkUpstream } from './upstream.ts'

/** Milliseconds for one check: some make several requests, one after the other. */
const LIMIT = 40_000

export type Check = (site: Site, loaded: Loaded, signal: AbortSignal) => Promise<Finding[]>

/** The checks of a deployment that runs, from outside in. */
const CHECKS: Readonly<Record<string, Check>> = {
  address: checkAddress,
  names: checkNames,
  well_known: checkWellKnown,
  discovery: checkDiscovery,
  homeserver: checkHomeserver,
  secret_to_homeserver: checkSecretOut,
  secret_from_homeserver: checkSecretIn,
  legacy_routes: checkLegacyRoutes,
  admin_api: checkAdminApi,
  mail: checkMail,
  database: checkDatabase,
  upstream: checkUpstream,
  ldap: checkDirectory,
}

/**
 * Makes every check, all at the same time, and hands the findings over in their order, each as soon as it and those
 * before it are there. A check that breaks is a finding, and stops no other one.
 */
export async function examine(
  site: Site,
  loaded: Loaded,
  {
    signal,
    found,
    checks = CHECKS,
  }: { signal: AbortSignal; found: (findings: Finding[]) => void; checks?: Readonly<Record<string, Check>> },
): Promise<void> {
  const running = Object.entries(checks).map(([name, check]) => {
    const { failed } = findingsOf(name)
    const late = expired(LIMIT).then(() => [failed('The check took too long and was given up.')])
    const made = check(site, loaded, signal).catch((error: unknown) => [
      failed(`The check could not be made: ${whyNot(error)}.`),
    ])
    return Promise.race([made, late])
  })
  for (const findings of running) found(await findings)
}
