import type { Deps } from '../deps.ts'
import { uuidFromUlid } from '../lib/ulid.ts'
import { servesAdminApi } from './served-scopes.ts'

/** The page of the admin API's document, where an admin signs in to try it. */
export const DOCS_CLIENT = '0000000000000000000000D0CS'
/** `latchkey token`, which gets a token in a terminal by the device grant. */
export const COMMAND_CLIENT = '0000000000000000000000CMD1'

/** A client that Latchkey itself is. */
interface OwnClient {
  /** As a uuid. */
  id: string
  redirectUris: string[]
  grantTypes: string[]
  metadata: { client_name: string; client_uri: string; application_type: string }
}

/**
 * The clients that come with the admin API, so that nobody has to register one to read its document or to call it from
 * a terminal. Public ones (RFC 6749 section 2.1); admin scopes are never granted without the consent page (decision 10).
 */
export function ownClients({ config, urls }: Pick<Deps, 'config' | 'urls'>): OwnClient[] {
  if (!servesAdminApi(config)) return []
  const client = (
    ulid: string,
    client_name: string,
    application_type: string,
    grant: string,
    redirectUris: string[],
  ): OwnClient => ({
    id: uuidFromUlid(ulid) ?? '',
    redirectUris,
    grantTypes: [grant, 'refresh_token'],
    metadata: { client_name, client_uri: urls.base, application_type },
  })
  return [
    client(DOCS_CLIENT, 'Admin API documentation', 'web', 'authorization_code', [
      urls.absolute('/api/doc/oauth2-callback'),
    ]),
    client(
      COMMAND_CLIENT,
      'latchkey command line',
      'native',
      'urn:ietf:params:oauth:grant-type:device_code',
      [],
    ),
  ]
}
