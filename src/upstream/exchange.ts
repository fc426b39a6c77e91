import type { Deps } from '../deps.ts'
import type { Provider } from '../identity/providers.ts'
import { isRecord } from '../lib/record.ts'
import type { Ask, ProviderAnswer } from './ask.ts'
import { type ProofNeeds, proveClient } from './client-auth.ts'
import { ProviderError } from './provider-error.ts'

/** What a code was exchanged for. */
export interface ProviderTokens {
  accessToken: string
  idToken: string | undefined
}

export type ExchangeNeeds = ProofNeeds & Pick<Deps, 'urls' | 'upstream'>

/** Where the provider sends people back to. */
export const callbackUri = (deps: Pick<Deps, 'urls'>, provider: Pick<Provider, 'id'>): string =>
  deps.urls.absolute(`/upstream/callback/${provider.id}`)

/** Exchanges a code (RFC 6749 section 4.1.3). @throws ProviderError */
export async function exchangeCode(
  deps: ExchangeNeeds,
  provider: Provider,
  { code, verifier }: { code: string; verifier: string | undefined },
): Promise<ProviderTokens> {
  const { tokenEndpoint } = await deps.upstream.metadata.of(provider)
  return readTokens(
    await sendCode({ ...deps, ask: deps.upstream.ask }, provider, tokenEndpoint, { code, verifier }),
  )
}

/** Shows a code at a token endpoint, with the proof of who we are. @throws ProviderError */
export async function sendCode(
  deps: ProofNeeds & Pick<Deps, 'urls'> & { ask: Ask },
  provider: Provider,
  tokenEndpoint: URL,
  { code, verifier }: { code: string; verifier: string | undefined },
): Promise<ProviderAnswer> {
  let proof: Awaited<ReturnType<typeof proveClient>>
  try {
    proof = await proveClient(deps, provider, tokenEndpoint)
  } catch (cause) {
    throw new ProviderError('failed', 'we cannot prove who we are', { cause })
  }
  return deps.ask(provider, tokenEndpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...proof.headers },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: callbackUri(deps, provider),
      ...(verifier !== undefined && { code_verifier: verifier }),
      ...proof.fields,
    }).toString(),
  })
}

/** Some say what is wrong with status 200. @throws ProviderError */
function readTokens({ status, body }: ProviderAnswer): ProviderTokens {
  let answer: unknown
  try {
    answer = JSON.parse(body)
  } catch {
    answer = undefined
  }
  const { access_token, id_token, error } = isRecord(answer) ? answer : {}
  if (status !== 200 || typeof access_token !== 'string' || access_token === '') {
    const problem = status >= 500 ? 'unreachable' : 'failed'
    // Of its description nothing: it may hold the code.
    const code = typeof error === 'string' ? error.slice(0, 60) : 'no token'
    throw new ProviderError(problem, `the token endpoint answered ${status}: ${code}`)
  }
  return { accessToken: access_token, idToken: typeof id_token === 'string' ? id_token : undefined }
}
