import { type Document, isMap, isScalar, parseDocument, stringify } from 'yaml'
import { type Random, randomString } from '../../lib/random.ts'
import { nextSteps } from './next-steps.ts'
import { latchkeyAddress, listensLocally, type Plan } from './plan.ts'
import { caddyOf, nginxOf, traefikOf } from './proxies.ts'

/** A file to write. */
export interface PlannedFile {
  name: string
  text: string
  /** It holds secrets: only its owner may read it. */
  secret: boolean
}

/** The name of the file with Latchkey's configuration. */
export const CONFIG = 'config.yaml'

/**
 * Everything that is written for a plan. `config`: the text of a configuration with secrets and keys, new or the one
 * that was written before, whose own changes stay.
 */
export function filesOf(plan: Plan, config: string, random: Random): PlannedFile[] {
  const document = parseDocument(config)
  const password = fillIn(document, plan, random)
  const shown = (name: string, text: string): PlannedFile => ({ name, text, secret: false })
  const hidden = (name: string, text: string): PlannedFile => ({ name, text, secret: true })
  return [
    hidden(CONFIG, document.toString({ lineWidth: 0 })),
    hidden('synapse.yaml', synapseOf(plan, String(document.getIn(['matrix', 'secret'])))),
    ...(password === undefined ? [] : [hidden('database.sql', databaseOf(password))]),
    shown('matrix-client.json', `${JSON.stringify(clientDocument(plan), null, 2)}\n`),
    shown('nginx.conf', nginxOf(plan)),
    shown('Caddyfile', caddyOf(plan)),
    shown('traefik.yaml', traefikOf(plan)),
    shown('NEXT-STEPS.md', nextSteps(plan, password !== undefined)),
  ]
}

/** Puts the plan into a configuration; gives the password of a database that is still to be made. */
function fillIn(document: Document, plan: Plan, random: Random): string | undefined {
  const http = 'http'
  document.setIn([http, 'public_base'], plan.latchkey.href)
  if (plan.issuer.href !== plan.latchkey.href) document.setIn([http, 'issuer'], plan.issuer.href)
  else document.deleteIn([http, 'issuer'])
  // The web server is on this machine then, and nobody else can claim to speak for others.
  if (listensLocally(plan)) document.setIn([http, 'trusted_proxies'], ['127.0.0.1/32', '::1/128'])
  document.setIn([http, 'listeners', 0, 'binds'], [{ host: plan.listen.host, port: plan.listen.port }])
  const resources = document.toJS().http.listeners[0].resources as { name: string }[]
  const at = resources.findIndex(({ name }) => name === 'well-known')
  document.setIn([http, 'listeners', 0, 'resources', at < 0 ? resources.length : at], {
    name: 'well-known',
    homeserver_base_url: plan.homeserver.href,
  })
  document.setIn(['matrix', 'kind'], 'synapse')
  document.setIn(['matrix', 'homeserver'], plan.domain)
  document.setIn(['matrix', 'endpoint'], `${plan.synapse}/`)
  comment(
    document,
    'matrix',
    ' The part after the colon in Matrix ids, which can never change, and where Synapse is.',
  )
  document.setIn(['account', 'password_registration_enabled'], false)
  comment(
    document,
    'account',
    ' Open to the whole internet, sign-up is found by robots: think of it before you turn it on.',
  )
  document.deleteIn(['account', 'password_registration_email_required'])
  if (plan.database !== undefined) {
    document.setIn(['database'], { uri: plan.database })
    return undefined
  }
  const known = document.getIn(['database', 'uri'])
  const password = passwordIn(known) ?? (known === undefined ? randomString(random, 32) : undefined)
  if (known === undefined)
    document.setIn(['database'], { uri: `postgresql://latchkey:${password}@localhost/latchkey` })
  return password
}

/** What stands above the keys of a section: what a first start says there is not true of a deployment. */
function comment(document: Document, section: string, text: string): void {
  const map = document.get(section)
  if (!isMap(map)) return
  map.commentBefore = text
  const [first] = map.items
  if (first && isScalar(first.key)) first.key.commentBefore = null
}

/** The password that an earlier run of this command made up. */
const passwordIn = (uri: unknown): string | undefined =>
  /^postgresql:\/\/latchkey:([0-9A-Za-z]{32})@localhost\/latchkey$/.exec(String(uri))?.[1]

const synapseOf = (plan: Plan, secret: string): string =>
  `# For Synapse 1.136 or later: a file of its own beside homeserver.yaml (/etc/matrix-synapse/conf.d), or lines in it.
${stringify({
  public_baseurl: plan.homeserver.href,
  matrix_authentication_service: { enabled: true, endpoint: `${latchkeyAddress(plan)}/`, secret },
})}`

const databaseOf = (password: string): string => `create role latchkey login password '${password}';
create database latchkey owner latchkey encoding 'UTF8' template template0;
`

/** What Latchkey answers at `/.well-known/matrix/client`, for a domain whose web server can only serve files. */
const clientDocument = ({ homeserver, issuer, latchkey }: Plan) => ({
  'm.homeserver': { base_url: homeserver.origin },
  'org.matrix.msc2965.authentication': { issuer: issuer.href, account: `${latchkey.href}account/` },
})
