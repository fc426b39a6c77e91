import packageFile from '../../../package.json' with { type: 'json' }
import type { Config } from '../../config/schema.ts'
import { createProxyOf } from '../../http/outgoing.ts'
import { systemClock } from '../../lib/clock.ts'
import { systemRandom } from '../../lib/random.ts'
import { CommandError, type Context, say } from '../context.ts'
import { explain } from '../explain.ts'
import { type Loaded, load } from '../load.ts'
import { withMadeProviders } from '../made-providers.ts'
import { type Check, examine } from './examine.ts'
import { type Finding, findingsOf, type Verdict, withoutSecrets } from './finding.ts'
import { printFinding, printSummary } from './print.ts'
import { createReach, parseConnects } from './reach.ts'
import { createSite, slashed } from './site.ts'
import { checkProviders } from './upstream.ts'

export interface DoctorFlags {
  config?: readonly string[]
  homeserverUrl?: string
  connectTo?: readonly string[]
  json?: boolean
}

/** `latchkey doctor`: exit code 0 when nothing failed; warnings are no failure. */
export default function doctor(this: Context, flags: DoctorFlags): Promise<void> {
  return diagnose(this, flags)
}

/** `latchkey doctor upstream`: the same of the providers alone. */
export function doctorUpstream(
  this: Context,
  flags: Pick<DoctorFlags, 'config' | 'json'>,
  id?: string,
): Promise<void> {
  return diagnose(this, flags, { upstream: (site) => checkProviders(site, id) })
}

/** Makes the checks, all of them unless some are named, and prints what was found. */
async function diagnose(
  context: Context,
  flags: DoctorFlags,
  checks?: Readonly<Record<string, Check>>,
): Promise<void> {
  const connects = parseConnects(flags.connectTo ?? [])
  const homeserver = addressOf(flags.homeserverUrl)
  const findings: Finding[] = []
  const found = (secrets: string[]) => (more: Finding[]) => {
    const clean = withoutSecrets(more, secrets)
    findings.push(...clean)
    if (!flags.json) for (const finding of clean) say(context, printFinding(finding))
  }
  const loaded = await loadOrSay(context, flags, found([]))
  if (loaded) {
    const { signal } = context
    const { config, why } = await withMadeProviders(loaded, signal)
    // Where the database is looked at too, it says so itself.
    if (why !== undefined && checks)
      found(secretsOf(config))([
        findingsOf('upstream').warning(`Providers of the admin API are not looked at: ${why}`, {
          mend: 'Look at the database section of the configuration: latchkey doctor.',
        }),
      ])
    const reach = createReach({ connects, proxyOf: createProxyOf(config.outgoing), signal })
    const site = createSite(
      { config, reach, clock: systemClock, random: systemRandom, running: true },
      homeserver,
    )
    await examine(site, loaded, { signal, found: found(secretsOf(config)), ...(checks && { checks }) })
    if (signal.aborted) throw new CommandError('Interrupted.')
  }
  const count = (verdict: Verdict) => findings.filter((finding) => finding.verdict === verdict).length
  const summary = {
    ok: count('ok'),
    warning: count('warning'),
    failed: count('failed'),
    skipped: count('skipped'),
  }
  if (flags.json)
    say(
      context,
      JSON.stringify(
        {
          healthy: summary.failed === 0,
          checked_at: systemClock.now().toISOString(),
          version: packageFile.version,
          summary,
          findings,
        },
        null,
        2,
      ),
    )
  else say(context, printSummary(summary))
  if (summary.failed > 0) context.process.exitCode = 1
}

/** The configuration; what is wrong with it is a finding, so that scripts read it like any other. */
async function loadOrSay(
  context: Context,
  { config }: DoctorFlags,
  found: (findings: Finding[]) => void,
): Promise<Loaded | undefined> {
  const { ok, warning, failed } = findingsOf('config')
  try {
    const loaded = await load(context, config)
    found([
      ok(`The configuration is ${loaded.files.join(', ') || 'in the environment'}.`),
      ...loaded.warnings.map((text) => warning(text)),
    ])
    return loaded
  } catch (error) {
    found(
      explain(error)
        .split('\n')
        .map((line) => failed(line, { mend: 'Correct it; nothing else was checked.' })),
    )
    return undefined
  }
}

function addressOf(text: string | undefined): URL | undefined {
  if (text === undefined) return undefined
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw new CommandError(`${text} is not the address of a homeserver, such as https://matrix.example.org/.`)
  return slashed(text)
}

/** Every secret of a configuration. */
export function secretsOf({
  matrix,
  secrets,
  clients,
  email,
  database,
  outgoing,
  captcha,
  upstream_oauth2,
  ldap,
}: Config): string[] {
  const passwordOf = (uri: string | undefined) =>
    uri !== undefined && URL.canParse(uri)
      ? [new URL(uri).password, decodeURIComponent(new URL(uri).password)]
      : []
  const all: (string | undefined)[] = [
    matrix.secret,
    secrets.encryption,
    ...secrets.previous_encryption,
    ...clients.map(({ client_secret: secret }) => secret),
    email.password,
    database?.password,
    ...[database?.uri, database?.direct_uri, outgoing.https_proxy, outgoing.http_proxy].flatMap(passwordOf),
    captcha.secret_key,
    ldap?.bind_password,
    ...upstream_oauth2.providers.map(({ client_secret: secret }) => secret),
    ...upstream_oauth2.providers.map(({ sign_in_with_apple: apple }) => apple?.private_key),
  ]
  return all.filter((secret) => secret !== undefined)
}
