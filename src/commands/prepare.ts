import { type ClientMetadata, upsertStaticClient } from '../../sql/clients.ts'
import { findSetting, putSetting } from '../../sql/settings.ts'
import { anyUserExists, forgetProvisioning } from '../../sql/users.ts'
import type { Deps } from '../deps.ts'
import { transact } from '../lib/transact.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { sealClientSecret } from '../oauth/client-secret.ts'
import { FAPI2_ALGORITHMS } from '../oauth/fapi2.ts'
import { ownClients } from '../oauth/own-clients.ts'
import { CommandError } from './context.ts'

/** Where the server name is remembered. */
const HOMESERVER = 'matrix.homeserver'
/** Where the kind of homeserver is remembered. */
const KIND = 'matrix.kind'

/** What a client of the configuration may use, as in MAS: every grant. */
const GRANTS = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'urn:ietf:params:oauth:grant-type:device_code',
]

/** A device code stands for a request that nobody pushed (FAPI 2.0 Security Profile section 5.3.2.2, point 3). */
const FAPI2_GRANTS = GRANTS.slice(0, 3)

/**
 * Refuses another `matrix.homeserver` than the accounts of this database were made for (decision 27): every Matrix id
 * has it as its second half. Without accounts the new name is taken over.
 *
 * @throws CommandError
 */
export async function checkHomeserver(deps: Pick<Deps, 'config' | 'sql' | 'jobs' | 'log'>): Promise<void> {
  const { homeserver } = deps.config.matrix
  const [known] = await findSetting(deps.sql, HOMESERVER)
  if (known?.value !== homeserver) {
    const [used] = known ? await anyUserExists(deps.sql) : []
    if (used?.exists) {
      throw new CommandError(
        `The accounts of this database belong to ${String(known?.value)}, and matrix.homeserver is now ${homeserver}: a server name can't change later; set it back, or give ${homeserver} a database of its own.`,
      )
    }
    await putSetting(deps.sql, HOMESERVER, homeserver)
  }
  // Only now: a start that is refused must not tell another server about these accounts.
  await noticeNewKind(deps)
}

/** A homeserver that comes to accounts which had none is told about all of them, by a job (decision 27). */
async function noticeNewKind(deps: Pick<Deps, 'config' | 'sql' | 'jobs' | 'log'>): Promise<void> {
  const { kind } = deps.config.matrix
  const [known] = await findSetting(deps.sql, KIND)
  if (known?.value === kind) return
  await transact(deps.sql, async (tx) => {
    await putSetting(tx, KIND, kind)
    if (known?.value !== 'standalone') return
    await forgetProvisioning(tx)
    await deps.jobs.enqueue(tx, 'provision-everyone', { after: null })
    deps.log.info('homeserver.connected', { kind })
  })
}

/**
 * Writes the clients of the configuration, and our own, into the database. Those that left the configuration stay.
 *
 * @throws CommandError when no key can sign for one as it wants: nobody could sign in there
 */
export async function syncClients(
  deps: Pick<Deps, 'config' | 'urls' | 'sql' | 'secrets' | 'clock' | 'keys'>,
): Promise<void> {
  for (const client of ownClients(deps))
    await upsertStaticClient(deps.sql, {
      ...client,
      authMethod: 'none',
      sealedSecret: null,
      now: deps.clock.now(),
    })
  for (const client of deps.config.clients) {
    const id = uuidFromUlid(client.client_id)
    // The configuration was checked: every id is a ULID.
    if (id === undefined) throw new Error(`${client.client_id} is not a ULID`)
    const { client_secret: secret, profile } = client
    checkSigning(deps, client)
    await upsertStaticClient(deps.sql, {
      id,
      authMethod: client.client_auth_method,
      sealedSecret: secret === undefined ? null : await sealClientSecret(deps.secrets, id, secret),
      redirectUris: [...client.redirect_uris],
      grantTypes: profile === 'fapi2' ? FAPI2_GRANTS : GRANTS,
      metadata: metadataOf(client),
      now: deps.clock.now(),
    })
  }
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
