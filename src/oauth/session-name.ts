import type { ClientRow } from '../../sql/clients.ts'
import { describeUserAgent } from '../identity/user-agent.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import type { Translate } from '../render/translate.ts'

/** Characters of a device's name: Synapse refuses longer ones, and the app could never sign in. */
const LIMIT = 100

/**
 * The name of a new session, which is also its device's name at the homeserver: "client on device", in the language of
 * the browser that consented (reference flows 5.9).
 */
export function sessionName(
  translate: Translate,
  client: ClientRow,
  userAgent: string | undefined,
  locale: string | null,
): string {
  const client_name = client.metadata.client_name ?? ulidFromUuid(client.id)
  const device = describeUserAgent(userAgent)
  const name =
    device === undefined
      ? client_name
      : translate.text(locale ?? 'en', 'session.name', { client: client_name, device })
  return [...name].slice(0, LIMIT).join('')
}
