import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { idTokenHash } from '../../src/crypto/jwt.ts'

type Claims = Record<string, unknown>

/** A provider that does whatever a test tells it, right or wrong. */
export interface FakeProvider {
  issuer: string
  /** Claims of the next ID token, over those that are right. */
  claims: Claims
  /** Makes the next ID token of its claims; without it they are signed with RS256. */
  sign: ((claims: Claims) => Promise<string>) | undefined
  /** What userinfo says. */
  userinfo: Claims
  /** Changes of the metadata. */
  metadata: Claims
  /** Answers in place of the endpoint of a path. */
  answers: Map<string, (request: Request) => Response | Promise<Response>>
  /** What it posts beside its answer, as Apple does with a name. */
  posted: Record<string, string>
  /** Forms that the token endpoint got. */
  forms: Record<string, string>[]
  /** Paths that were asked for, in order. */
  asked: string[]
  /** The key that tokens are signed with, and its public half. */
  key: CryptoKey
  jwk: Record<string, unknown>
  /** Signs as `key` does. */
  jwt(claims: Claims, header?: object): Promise<string>
  /** Another key from now on. */
  rotate(): Promise<void>
  /** Goes with the browser's request to the callback that it asks for; `changes` are the answer's. */
  answer(authorizationUrl: URL, changes?: Record<string, string | undefined>): URL
  stop(): void
}

/** Starts it on loopback. `clientId` is whom its tokens are for. */
export async function startFakeProvider({ clock }: { clock: { now(): Date } }): Promise<FakeProvider> {
  const nonces = new Map<string, string>()
  let serial = 0
  const seconds = () => Math.floor(clock.now().getTime() / 1000)
  const newKey = async () => {
    const pair = await generateKeyPair('RS256', { extractable: true })
    const kid = `key-${++serial}`
    return {
      key: pair.privateKey as CryptoKey,
      jwk: { ...(await exportJWK(pair.publicKey)), kid, alg: 'RS256' },
    }
  }
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: (request) => route(request) })
  const issuer = `http://127.0.0.1:${server.port}`
  const fake: FakeProvider = {
    issuer,
    claims: {},
    sign: undefined,
    userinfo: {},
    metadata: {},
    answers: new Map(),
    posted: {},
    forms: [],
    asked: [],
    ...(await newKey()),
    jwt: (claims, header = {}) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', kid: String(fake.jwk.kid), ...header })
        .sign(fake.key),
    rotate: async () => void Object.assign(fake, await newKey()),
    answer(url, changes = {}) {
      const code = `code-${++serial}`
      nonces.set(code, url.searchParams.get('nonce') ?? '')
      const target = new URL(url.searchParams.get('redirect_uri') ?? '')
      const fields = { code, state: url.searchParams.get('state') ?? '', ...changes }
      for (const [name, value] of Object.entries(fields))
        if (value !== undefined) target.searchParams.set(name, value)
      return target
    },
    stop: () => void server.stop(true),
  }
  const idToken = async (code: string, clientId: string) => {
    const claims = {
      iss: issuer,
      aud: clientId,
      sub: 'somebody',
      iat: seconds(),
      exp: seconds() + 300,
      nonce: nonces.get(code),
      at_hash: idTokenHash('RS256', 'an-access-token'),
      ...fake.claims,
    }
    return fake.sign ? fake.sign(claims) : fake.jwt(claims)
  }
  async function route(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url)
    fake.asked.push(pathname)
    const own = fake.answers.get(pathname)
    if (own) return own(request)
    if (pathname === '/.well-known/openid-configuration')
      return Response.json({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        userinfo_endpoint: `${issuer}/userinfo`,
        jwks_uri: `${issuer}/jwks`,
        code_challenge_methods_supported: ['S256'],
        ...fake.metadata,
      })
    if (pathname === '/authorize') return authorizeAtOnce(new URL(request.url))
    if (pathname === '/jwks') return Response.json({ keys: [fake.jwk] })
    if (pathname === '/userinfo') return Response.json({ sub: 'somebody', ...fake.userinfo })
    if (pathname === '/token') {
      const form = Object.fromEntries(new URLSearchParams(await request.text()))
      fake.forms.push(form)
      const token = await idToken(form.code ?? '', form.client_id ?? '')
      return Response.json({ access_token: 'an-access-token', token_type: 'Bearer', id_token: token })
    }
    return new Response('nothing here', { status: 404 })
  }
  /** For browsers: nobody is asked who they are. */
  function authorizeAtOnce(asked: URL): Response {
    const target = fake.answer(asked)
    if (asked.searchParams.get('response_mode') !== 'form_post')
      return new Response(null, { status: 302, headers: { location: target.href } })
    const inputs = [...target.searchParams, ...Object.entries(fake.posted)].map(
      ([name, value]) => `<input type="hidden" name="${name}" value="${value.replaceAll('"', '&quot;')}">`,
    )
    return new Response(
      `<!doctype html><title>Harbour</title><form method="post" action="${target.origin}${target.pathname}">${inputs.join('')}<button>Back</button></form>`,
      { headers: { 'content-type': 'text/html' } },
    )
  }
  return fake
}
