import type { ClientRow } from '../../sql/clients.ts'
import type { Secrets } from '../crypto/seal.ts'

/** Ties a sealed secret to its client: moved to another row it does not open. */
const contextOf = (clientId: string): string => `client:${clientId}`

/** The secret of the client with this id (a uuid), as its row keeps it. */
export const sealClientSecret = (secrets: Secrets, clientId: string, secret: string): Promise<string> =>
  secrets.seal(secret, contextOf(clientId))

/** The secret of a client; undefined when it has none, or none that opens. */
export const openClientSecret = async (
  secrets: Secrets,
  client: Pick<ClientRow, 'id' | 'sealed_secret'>,
): Promise<string | undefined> =>
  client.sealed_secret === null ? undefined : secrets.open(client.sealed_secret, contextOf(client.id))
