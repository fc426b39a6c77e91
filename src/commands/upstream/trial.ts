import type { Config } from '../../config/schema.ts'
import type { Keystore } from '../../crypto/keystore.ts'
import type { Deps } from '../../deps.ts'
import type { Provider } from '../../identity/providers.ts'
import { equalSecrets } from '../../lib/digest.ts'
import { randomString } from '../../lib/random.ts'
import type { Log } from '../../telemetry/log.ts'
import { authorizationUrl, extraParameters, makeSecrets } from '../../upstream/authorize.ts'
import { claimValue, holds, type ImportedAttribute, importClaims, valuesOf } from '../../upstream/claims.ts'
import { checkAnswer, extraOf, hear } from '../../upstream/hear.ts'
import type { ProviderSaid } from '../../upstream/way.ts'
import { CommandError } from '../context.ts'

/** What a trial needs of a Latchkey: nothing that is stored. */
export type TrialNeeds = Pick<Deps, 'urls' | 'clock' | 'random' | 'upstream' | 'config' | 'log'> & {
  keys: Pick<Keystore, 'sign' | 'decrypt'>
}

/** What a template makes of the claims. */
export interface Rendered {
  template: string
  /** What is done with it; the subject and the name of the account have none. */
  action?: string
  /** Null: nothing came of it. */
  value: string | null
  /** Why. */
  error?: string
}

/** What a provider said, and what would become of it. */
export interface TrialResult {
  provider_id: string
  claims: ProviderSaid
  imports: Record<'subject' | 'account_name' | ImportedAttribute, Rendered | null>
  allow_if: boolean | null
  admin_if: boolean | null
  /** A sentence. */
  outcome: string
  /** Texts that must not be printed, should a claim repeat one. */
  secrets: string[]
}

/** One sign-in at a provider that leads nowhere. */
export interface Trial {
  /** Where a browser is sent to. */
  url: URL
  /** Whether the answer has to come by address, although the configuration wants a form. */
  isByAddress: boolean
  /** Whether a text is an address that this attempt led to. */
  isAnswer(text: string): boolean
  /** Takes the address that the browser was sent back to. @throws CommandError, ProviderError */
  finish(address: string): Promise<TrialResult>
}

/** Begins one, as a sign-in does; nothing about it is stored, so the server that it comes back to knows nothing of it. */
export async function beginTrial(needs: TrialNeeds, provider: Provider): Promise<Trial> {
  const metadata = await needs.upstream.metadata.of(provider)
  const secrets = makeSecrets(needs, provider, metadata)
  const state = randomString(needs.random, 32)
  const isByAddress = provider.response_mode === 'form_post'
  // A form is lost at the server, which does not know it. Apple gives no other answer to who asks for a scope.
  const isApple = provider.token_endpoint_auth_method === 'sign_in_with_apple'
  const asked: Provider = isByAddress
    ? { ...provider, response_mode: 'query', ...(isApple && { scope: '' }) }
    : provider
  const values = { params: {}, logged_out: false }
  const extra = extraParameters(needs, provider, values)
  return {
    url: authorizationUrl(needs, asked, metadata, { state, secrets, extra }),
    isByAddress,
    isAnswer: (text) => equalSecrets(readAddress(text).state ?? '', state),
    async finish(address) {
      const params = readAddress(address)
      if (!equalSecrets(params.state ?? '', state))
        throw new CommandError('That address does not belong to this attempt: begin anew, in one browser.')
      const { error, error_description: description } = params
      if (error !== undefined)
        throw new CommandError(`The provider answered ${error}${description ? `: ${description}` : ''}`)
      const { code } = checkAnswer(provider, params, metadata.namesItself)
      const { said, accessToken, idToken } = await hear(needs, provider, secrets, code, extraOf(params))
      return { ...explain(needs, provider, said), secrets: [code, accessToken, idToken ?? ''] }
    },
  }
}

/** The parameters of an address, or of what stands behind its `?`. */
function readAddress(text: string): Record<string, string> {
  const query = text
    .trim()
    .replace(/^[^?]*\?/, '')
    .replace(/#.*$/s, '')
  return Object.fromEntries(new URLSearchParams(query))
}

/** Runs every template and expression as a sign-in does. */
function explain(needs: TrialNeeds, provider: Provider, said: ProviderSaid): Omit<TrialResult, 'secrets'> {
  const failures = new Map<string, string>()
  const noted: Log = {
    ...needs.log,
    warn: (_event, fields) => void failures.set(String(fields?.attribute), String(fields?.error)),
  }
  const deps = { ...needs, log: noted }
  const { claims_imports: claims } = provider
  const imported = importClaims(deps, provider, said)
  const row = (name: 'subject' | 'account_name' | ImportedAttribute): Rendered | null => {
    const { template, action } = { action: undefined, ...claims[name] }
    if (template === undefined) return null
    const value = claimValue(deps, provider, name, template, valuesOf(said)) ?? null
    const error = failures.get(name)
    return { template, ...(action && { action }), value, ...(error !== undefined && { error }) }
  }
  const imports = {
    subject: row('subject'),
    localpart: row('localpart'),
    displayname: row('displayname'),
    email: row('email'),
    account_name: row('account_name'),
  }
  const allowed = holds(deps, provider, 'allow_if', said) ?? null
  const sentence = () => {
    if (imports.subject?.value == null) return 'Nobody gets in: there is no subject.'
    if (allowed === false)
      return `Turned away by allow_if${failures.has('allow_if') ? `, which fails: ${failures.get('allow_if')}` : ''}.`
    const name = 'missing' in imported || !imported.localpart?.fixed ? undefined : imported.localpart.value
    const isGiven = name !== undefined && claims.localpart.on_conflict !== 'fail'
    const given = isGiven ? `, and into the account ${name} if there is one (on_conflict)` : ''
    const has = `Whoever has an account with this identity is signed in${given}`
    if (!provider.allow_registration) return `${has}; nobody else gets one (allow_registration).`
    if ('missing' in imported)
      return `${has}; somebody new is turned away, since ${imported.missing} is required and missing.`
    const { email } = imported
    const mail =
      email === undefined
        ? ''
        : email.unproven
          ? ' The address is proven by a code.'
          : ' The address counts as proven.'
    return `${has}; somebody new may create one.${mail}`
  }
  return {
    provider_id: provider.id,
    claims: said,
    imports,
    allow_if: allowed,
    admin_if: holds(deps, provider, 'admin_if', said) ?? null,
    outcome: sentence(),
  }
}

/** The provider of an id, or the only one. @throws CommandError */
export function requireProvider(
  config: Pick<Config, 'upstream_oauth2'>,
  find: (id: string) => Provider | undefined,
  id: string | undefined,
): Provider {
  const enabled = config.upstream_oauth2.providers.filter((provider) => provider.enabled)
  const [only] = enabled.length === 1 ? enabled : []
  const provider = id === undefined ? only : find(id)
  if (provider) return provider
  if (enabled.length === 0)
    throw new CommandError('There is no provider, neither in upstream_oauth2.providers nor of the admin API.')
  const names = enabled.map((one) => `${one.id}${one.human_name === undefined ? '' : ` (${one.human_name})`}`)
  throw new CommandError(
    `${id === undefined ? 'Name a provider' : `There is no provider ${id}`}: ${names.join(', ')}`,
  )
}
