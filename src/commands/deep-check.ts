import { createProxyOf } from '../http/outgoing.ts'
import { systemClock } from '../lib/clock.ts'
import { systemRandom } from '../lib/random.ts'
import type { Context } from './context.ts'
import { secretsOf } from './doctor/doctor.ts'
import { type Check, examine } from './doctor/examine.ts'
import { type Finding, withoutSecrets } from './doctor/finding.ts'
import { checkSecretIn, checkSecretOut } from './doctor/homeserver.ts'
import { checkDirectory } from './doctor/ldap.ts'
import { checkMail } from './doctor/mail.ts'
import { createReach } from './doctor/reach.ts'
import { createSite } from './doctor/site.ts'
import { checkDatabase } from './doctor/store.ts'
import { checkUpstream } from './doctor/upstream.ts'
import type { Loaded } from './load.ts'
import { withMadeProviders } from './made-providers.ts'

/** What can be tried before a server runs: the doctor's checks of everything that the configuration names. */
const CHECKS: Readonly<Record<string, Check>> = {
  database: checkDatabase,
  mail: checkMail,
  secret_to_homeserver: checkSecretOut,
  secret_from_homeserver: checkSecretIn,
  upstream: checkUpstream,
  ldap: checkDirectory,
}

/** Tries what the configuration names, over the network and in the database, and changes nothing there. */
export async function deepCheck({ signal }: Pick<Context, 'signal'>, loaded: Loaded): Promise<Finding[]> {
  const { config } = await withMadeProviders(loaded, signal)
  const reach = createReach({ connects: new Map(), proxyOf: createProxyOf(config.outgoing), signal })
  const parts = { config, reach, clock: systemClock, random: systemRandom, running: false }
  const findings: Finding[] = []
  await examine(createSite(parts, undefined), loaded, {
    signal,
    found: (more) => findings.push(...withoutSecrets(more, secretsOf(config))),
    checks: CHECKS,
  })
  return findings
}
