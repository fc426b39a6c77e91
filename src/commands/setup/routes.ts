import type { Plan } from './plan.ts'

/** Which requests: one path, everything below a path (with its slash), or the login API of older clients. */
export type Match = { path: string } | { below: string } | 'login'

/** Who answers them. */
export interface Rule {
  match: Match
  to: 'latchkey' | 'synapse'
  why: string
}

/** What a host serves, the more particular rules first. Nothing else is passed on. */
export interface Host {
  name: string
  rules: Rule[]
}

/** The login API of Matrix, which Latchkey serves in Synapse's place, under any version. */
export const LOGIN = '^/_matrix/client/[^/]+/(login|logout|refresh)(/|$)'

/** The hosts of a deployment: one to three. */
export function hostsOf(plan: Plan): Host[] {
  const { domain, homeserver, latchkey } = plan
  const names = [...new Set([latchkey.hostname, homeserver.hostname, domain])]
  return names.map((name) => ({ name, rules: rulesOf(plan, name) }))
}

function rulesOf({ domain, homeserver, latchkey, issuer }: Plan, name: string): Rule[] {
  const rules: Rule[] = []
  const atRoot = name === latchkey.hostname && latchkey.pathname === '/'
  // Where everything else goes to Latchkey, so do these.
  const own = (rule: Rule) => {
    if (!atRoot) rules.push(rule)
  }
  if (name === domain)
    own({
      match: { path: '/.well-known/matrix/client' },
      to: 'latchkey',
      why: 'Clients find the homeserver.',
    })
  if (name === issuer.hostname && issuer.href !== latchkey.href) {
    own({
      match: { path: '/.well-known/openid-configuration' },
      to: 'latchkey',
      why: 'The issuer is this domain.',
    })
    own({
      match: { path: '/.well-known/oauth-authorization-server' },
      to: 'latchkey',
      why: 'The same, as RFC 8414 has it.',
    })
  }
  const prefix = latchkey.pathname.slice(0, -1)
  if (name === latchkey.hostname && prefix !== '') {
    own({
      match: { path: `/.well-known/oauth-authorization-server${prefix}` },
      to: 'latchkey',
      why: 'RFC 8414 puts its path before that of the issuer.',
    })
    own({ match: { below: `${prefix}/` }, to: 'latchkey', why: 'Pages, tokens, the admin API.' })
  }
  if (name === homeserver.hostname) {
    rules.push({ match: 'login', to: 'latchkey', why: 'Sign-in of older clients and bots.' })
    rules.push({ match: { below: '/_matrix/' }, to: 'synapse', why: 'Matrix.' })
    rules.push({ match: { below: '/_synapse/client/' }, to: 'synapse', why: 'Pages of Synapse.' })
  }
  if (atRoot) rules.push({ match: { below: '/' }, to: 'latchkey', why: 'Pages, tokens, the admin API.' })
  return rules
}
