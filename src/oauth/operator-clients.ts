import {
  deleteClientOfAny,
  insertOperatorClient,
  updateOperatorClient,
  updateOperatorSecret,
} from '../../sql/admin-clients.ts'
import { listDeviceUsers } from '../../sql/client-registrations.ts'
import type { ClientMetadata } from '../../sql/clients.ts'
import type { Deps } from '../deps.ts'
import { transact } from '../lib/transact.ts'
import { newId, ulidFromUuid } from '../lib/ulid.ts'
import { sealClientSecret } from './client-secret.ts'
import { checkMetadata, columnsOf, newSecret, SECRET_METHODS } from './registration.ts'

/**
 * Clients that the people who run the server make at run time. They are the operator's own, as those of the
 * configuration (`is_static`): people sign in to them without a question, and the rules for strangers' registrations do
 * not apply. Metadata is checked as every other.
 */

type Needs = Pick<Deps, 'config' | 'sql' | 'clock' | 'random' | 'keys' | 'secrets' | 'log'>

/**
 * Makes a client; gives its id (uuid) and its secret, where its method has one. The secret is known here and now only.
 *
 * @throws OAuthError invalid_client_metadata, invalid_redirect_uri
 */
export async function createOperatorClient(
  deps: Needs,
  metadata: ClientMetadata,
): Promise<{ id: string; secret: string | undefined }> {
  const now = deps.clock.now()
  const id = newId(now, deps.random)
  const columns = columnsOf(deps, checkMetadata(deps, metadata))
  const secret = SECRET_METHODS.includes(columns.authMethod) ? newSecret(deps) : undefined
  const sealedSecret = secret === undefined ? null : await sealClientSecret(deps.secrets, id, secret)
  await insertOperatorClient(deps.sql, { ...columns, id, sealedSecret, now })
  deps.log.info('client.created', { client_id: ulidFromUuid(id), client_name: metadata.client_name })
  return { id, secret }
}

/**
 * Gives such a client other metadata, whole. Its secret stays; a client that had none gets one with a method that needs
 * it. `found` is false for a client that is no such one.
 *
 * @throws OAuthError invalid_client_metadata, invalid_redirect_uri
 */
export async function replaceOperatorClient(
  deps: Needs,
  client: { id: string; hasSecret: boolean },
  metadata: ClientMetadata,
): Promise<{ found: boolean; secret: string | undefined }> {
  const columns = columnsOf(deps, checkMetadata(deps, metadata))
  const needsSecret = SECRET_METHODS.includes(columns.authMethod)
  const secret = needsSecret && !client.hasSecret ? newSecret(deps) : undefined
  const sealed = secret === undefined ? null : await sealClientSecret(deps.secrets, client.id, secret)
  const [updated] = await updateOperatorClient(deps.sql, { ...columns, id: client.id }, needsSecret, sealed)
  if (updated) deps.log.info('client.updated', { client_id: ulidFromUuid(client.id) })
  return { found: updated !== undefined, secret }
}

/** Gives such a client another secret; the one before stops at once. Undefined where there is none to replace. */
export async function renewOperatorSecret(deps: Needs, id: string): Promise<string | undefined> {
  const secret = newSecret(deps)
  const [renewed] = await updateOperatorSecret(deps.sql, id, await sealClientSecret(deps.secrets, id, secret))
  if (!renewed) return undefined
  deps.log.info('client.secret_renewed', { client_id: ulidFromUuid(id) })
  return secret
}

/**
 * Deletes a client with its sessions, tokens and consents, unless the configuration names it: then false. The homeserver
 * forgets its devices.
 */
export const deleteClientFor = (deps: Pick<Deps, 'sql' | 'jobs' | 'log'>, id: string): Promise<boolean> =>
  transact(deps.sql, async (tx) => {
    const people = await listDeviceUsers(tx, id)
    const [deleted] = await deleteClientOfAny(tx, id)
    if (!deleted) return false
    for (const { user_id } of people) await deps.jobs.enqueue(tx, 'sync-devices', { user_id })
    deps.log.info('client.deleted', { client_id: ulidFromUuid(id) })
    return true
  })
