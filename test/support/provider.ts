import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import OidcProvider from 'oidc-provider'
import { readForms } from './browser.ts'

/** Where our provider answers, and what it was asked for. */
export interface TestProvider {
  issuer: string
  /** Who signs in next, with the claims of the account; undefined refuses. */
  account: { sub: string; [claim: string]: unknown } | undefined
  /** Claims by subject, of everybody who ever signed in. */
  people: Map<string, Record<string, unknown>>
  /** Method, path and body of every request to its endpoints. */
  asked: { method: string; path: string; headers: Record<string, unknown> }[]
  /**
   * Goes to the provider as a browser does, signs in or out there, and gives where it leads back to: an address, or the
   * fields of a form. Without `cookies` in a browser of its own, in which nobody stays signed in.
   */
  visit(start: URL, cookies?: Map<string, string>): Promise<{ url: URL; form?: Record<string, string> }>
  close(): Promise<void>
}

/** A real OpenID provider (oidc-provider) on loopback, in which `account` signs in without being asked. */
export async function startProvider(configuration: {
  clients: object[]
  [key: string]: unknown
}): Promise<TestProvider> {
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => undefined
  const server = createServer((request, response) => handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const test: TestProvider = {
    issuer,
    account: { sub: 'alice' },
    people: new Map(),
    asked: [],
    visit: (url, cookies = new Map()) => visit(url, issuer, cookies),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
  const provider = new OidcProvider(issuer, {
    features: { devInteractions: { enabled: false }, ...(configuration.features as object) },
    cookies: { keys: ['a cookie key of the tests'] },
    findAccount: (_: unknown, sub: string) => ({
      accountId: sub,
      claims: () => ({ ...test.people.get(sub), sub }),
    }),
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username', 'groups'],
      email: ['email', 'email_verified'],
    },
    interactions: { url: (_: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}` },
    conformIdTokenClaims: false,
    ttl: {
      Session: 600,
      Grant: 600,
      Interaction: 600,
      AccessToken: 600,
      AuthorizationCode: 60,
      IdToken: 600,
    },
    async loadExistingGrant(context: {
      oidc: { client: { clientId: string }; session: { accountId: string }; params: { scope: string } }
    }) {
      const { client, session, params } = context.oidc
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
      grant.addOIDCScope(params.scope)
      await grant.save()
      return grant
    },
    ...Object.fromEntries(Object.entries(configuration).filter(([name]) => name !== 'features')),
  })
  const callback = provider.callback()
  handle = (request, response) => {
    const path = request.url ?? ''
    test.asked.push({ method: request.method ?? '', path, headers: request.headers })
    if (!path.startsWith('/interaction/')) return callback(request, response)
    const { account } = test
    if (account) test.people.set(account.sub, account)
    const result = account ? { login: { accountId: account.sub } } : { error: 'access_denied' }
    provider.interactionFinished(request, response, result).catch((error: unknown) => {
      response.statusCode = 500
      response.end(String(error))
    })
  }
  return test
}

async function visit(
  start: URL,
  issuer: string,
  cookies: Map<string, string>,
): Promise<{ url: URL; form?: Record<string, string> }> {
  let url = start
  let sent: Record<string, string> | undefined
  for (let hops = 0; hops < 10; hops++) {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(sent && { method: 'POST', body: new URLSearchParams(sent) }),
    })
    for (const cookie of response.headers.getSetCookie()) {
      const pair = cookie.split('; ')[0] ?? ''
      const at = pair.indexOf('=')
      cookies.set(pair.slice(0, at), pair.slice(at + 1))
    }
    const location = response.headers.get('location')
    sent = undefined
    if (location === null) {
      const text = await response.text()
      const [form] = readForms(text)
      if (form && !form.action.startsWith(issuer)) return { url: new URL(form.action), form: form.hidden }
      if (!form?.action.endsWith('/session/end/confirm'))
        throw new Error(`The provider answered ${response.status} at ${url.pathname}: ${text.slice(0, 2000)}`)
      // It asks whether the person wants to be signed out there.
      url = new URL(form.action)
      sent = { ...form.hidden, logout: 'yes' }
      continue
    }
    url = new URL(location, url)
    if (url.origin !== issuer) return { url }
  }
  throw new Error('The provider redirects for ever.')
}
