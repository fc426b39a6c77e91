import { type ClientMetadata, upsertStaticClient } from '../../sql/clients.ts'
import type { Db } from '../../sql/connect.ts'
import {
  deleteStaticClients,
  listPeopleOfClients,
  listStaticClients,
  listStaticClientsBesides,
  type StaticClientRow,
} from '../../sql/static-clients.ts'
import type { Deps } from '../deps.ts'
import { equalBytes } from '../lib/digest.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import { openClientSecret, sealClientSecret } from '../oauth/client-secret.ts'
import { FAPI2_ALGORITHMS } from '../oauth/fapi2.ts'
import { COMMAND_CLIENT, DOCS_CLIENT, ownClients } from '../oauth/own-clients.ts'
import { CommandError } from './context.ts'

/** What a client of the configuration may use, as in MAS: every grant. */
const GRANTS = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'urn:ietf:params:oauth:grant-type:device_code',
]

/** A device code stands for a request that nobody pushed (FAPI 2.0 Security Profile section 5.3.2.2, point 3). */
const FAPI2_GRANTS = GRANTS.slice(0, 3)

/** A client as the configuration wants it. */
interface WantedClient {
  /** As a uuid. */
  id: string
  authMethod: string
  secret: string | undefined
  redirectUris: string[]
  grantTypes: string[]
  metadata: ClientMetadata
}

/**
 * The clients of the configuration, and our own.
 *
 * @throws CommandError when no key can sign for one as it wants: nobody could sign in there
 */
export function wantedClients(deps: Pick<Deps, 'config' | 'urls' | 'keys'>): WantedClient[] {
  const own = ownClients(deps).map((client) => ({ ...client, authMethod: 'none', secret: undefined }))
  const configured = deps.config.clients.map((client) => {
    const id = uuidFromUlid(client.client_id)
    // The configuration was checked: every id is a ULID.
    if (id === undefined) throw new Error(`${client.client_id} is not a ULID`)
    checkSigning(deps, client)
    return {
      id,
      authMethod: client.client_auth_method,
      secret: client.client_secret,
      redirectUris: [...client.redirect_uris],
      grantTypes: client.profile === 'fapi2' ? FAPI2_GRANTS : GRANTS,
      metadata: metadataOf(client),
    }
  })
  return [...own, ...configured]
}

type Needs = Pick<Deps, 'config' | 'urls' | 'sql' | 'secrets' | 'clock' | 'keys'>

/**
 * Writes the clients of the configuration, and our own, into the database. Those that left the configuration stay.
 *
 * @throws CommandError
 */
export async function syncClients(deps: Needs, db: Db = deps.sql): Promise<void> {
  for (const { id, secret, ...client } of wantedClients(deps))
    await upsertStaticClient(db, {
      ...client,
      id,
      sealedSecret: secret === undefined ? null : await sealClientSecret(deps.secrets, id, secret),
      now: deps.clock.now(),
    })
}

/** Our own clients stay where the admin API is switched off for a while. */
const OWN = [DOCS_CLIENT, COMMAND_CLIENT].flatMap((ulid) => uuidFromUlid(ulid) ?? [])

const staying = (wanted: readonly WantedClient[]): string[] => [...OWN, ...wanted.map(({ id }) => id)]

/** Clients that a configuration brought and that the present one does not name, as `Name (01K…)`: they still work. */
export async function clientsThatLeft(deps: Needs, db: Db = deps.sql): Promise<string[]> {
  const rows = await listStaticClientsBesides(db, staying(wantedClients(deps)))
  return rows.map(({ id, name }) => (name === null ? ulidFromUuid(id) : `${name} (${ulidFromUuid(id)})`))
}

/** A client in a plan. */
export interface PlannedClient {
  client_id: string
  client_name: string | null
}

/** What the configuration would change in the database. */
export interface SyncPlan {
  added: PlannedClient[]
  /** With the names of what differs. */
  changed: (PlannedClient & { fields: string[] })[]
  unchanged: number
  /** In the database and not in the configuration, with what hangs on them. */
  left: (PlannedClient & Pick<StaticClientRow, 'sessions' | 'personal_tokens' | 'consents'>)[]
}

/** Compares the configuration with the database, and changes nothing. @throws CommandError */
export async function planSync(deps: Needs, db: Db = deps.sql): Promise<SyncPlan> {
  const wanted = wantedClients(deps)
  const rows = await listStaticClients(db)
  const byId = new Map(rows.map((row) => [row.id, row]))
  const plan: SyncPlan = { added: [], changed: [], unchanged: 0, left: [] }
  for (const client of wanted) {
    const named = plannedOf(client.id, client.metadata)
    const row = byId.get(client.id)
    const fields = row === undefined ? [] : await differences(deps, client, row)
    if (row === undefined) plan.added.push(named)
    else if (fields.length > 0) plan.changed.push({ ...named, fields })
    else plan.unchanged++
  }
  const stay = new Set(staying(wanted))
  for (const { id, metadata, sessions, personal_tokens, consents } of rows)
    if (!stay.has(id)) plan.left.push({ ...plannedOf(id, metadata), sessions, personal_tokens, consents })
  return plan
}

const plannedOf = (id: string, { client_name }: ClientMetadata): PlannedClient => ({
  client_id: ulidFromUuid(id),
  client_name: client_name ?? null,
})

/** The keys of a client, as the configuration calls them, whose stored value is another one. */
async function differences(
  { secrets }: Pick<Deps, 'secrets'>,
  client: WantedClient,
  row: StaticClientRow,
): Promise<string[]> {
  const pairs: [string, unknown, unknown][] = [
    ['client_auth_method', client.authMethod, row.auth_method],
    ['redirect_uris', client.redirectUris, row.redirect_uris],
    ['grant_types', client.grantTypes, row.grant_types],
    ...[...new Set([...Object.keys(client.metadata), ...Object.keys(row.metadata)])].map(
      (name): [string, unknown, unknown] => [name, client.metadata[name], row.metadata[name]],
    ),
  ]
  const stored = await openClientSecret(secrets, row)
  const bytes = (text: string | undefined) => new TextEncoder().encode(text ?? '')
  const sameSecret =
    (client.secret === undefined) === (row.sealed_secret === null) &&
    equalBytes(bytes(client.secret), bytes(stored))
  return [
    ...pairs.filter(([, a, b]) => !Bun.deepEquals(a, b)).map(([name]) => name),
    ...(sameSecret ? [] : ['client_secret']),
  ]
}

/**
 * Deletes the clients of a plan that left the configuration, with their sign-ins and tokens, in the caller's
 * transaction. The homeserver learns of vanished devices through jobs.
 */
export async function pruneClients(deps: Pick<Deps, 'jobs' | 'log'>, tx: Db, plan: SyncPlan): Promise<void> {
  const ids = plan.left.flatMap(({ client_id }) => uuidFromUlid(client_id) ?? [])
  const people = await listPeopleOfClients(tx, ids)
  await deleteStaticClients(tx, ids)
  for (const { user_id } of people) await deps.jobs.enqueue(tx, 'sync-devices', { user_id })
  deps.log.info('clients.pruned', { client_ids: plan.left.map(({ client_id }) => client_id) })
}

type StaticClient = Deps['config']['clients'][number]

/** Keys of a client that are metadata by the same name (RFC 7591 and what it was extended by). */
const METADATA = [
  'client_name',
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'jwks',
  'jwks_uri',
  'post_logout_redirect_uris',
  'backchannel_logout_uri',
  'profile',
  'require_pushed_authorization_requests',
  'require_signed_request_object',
  'request_uris',
  'request_object_signing_alg',
  'token_endpoint_auth_signing_alg',
  'id_token_signed_response_alg',
  'userinfo_signed_response_alg',
  'default_max_age',
  'dpop_bound_access_tokens',
] as const

/** What was given: an empty list and `false` say nothing. */
function metadataOf(client: StaticClient): ClientMetadata {
  const given = METADATA.flatMap((name): [string, unknown][] => {
    const value: unknown = client[name]
    const says = value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0)
    return says ? [[name, value]] : []
  })
  return Object.fromEntries(given)
}

function checkSigning({ keys }: Pick<Deps, 'keys'>, { client_id, profile, ...client }: StaticClient): void {
  const { id_token_signed_response_alg: idToken, userinfo_signed_response_alg: userinfo } = client
  const suits = (alg: string): boolean =>
    idToken === undefined ? profile === undefined || FAPI2_ALGORITHMS.includes(alg) : alg === idToken
  const refuse = (what: string, alg: string, key: string): never => {
    throw new CommandError(
      `${what} of the client ${client_id} must be signed with ${alg}, and secrets.keys can only do ${keys.algorithms.join(', ')}: add a key that can, or change clients[].${key}.`,
    )
  }
  if (!keys.algorithms.some(suits))
    refuse(
      'The ID tokens',
      idToken ?? FAPI2_ALGORITHMS.slice(0, 3).join(', '),
      'id_token_signed_response_alg',
    )
  if (userinfo !== undefined && !keys.algorithms.some((alg) => alg === userinfo))
    refuse('The userinfo', userinfo, 'userinfo_signed_response_alg')
}
