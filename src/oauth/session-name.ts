import type { ClientRow } from '../../sql/clients.ts'
import { describeUserAgent } from '../identity/user-agent.ts'
import { ulidFromUuid } from '../lib/ulid.ts'
import type { Translate } from '../render/translate.ts'

/**
 * The name of a new session, which is also its device's name at the homeserver: "client on device", in the language of
 * the browser that consented (reference section 5.9).
 */
export function sessionName(
  translate: Translate,
  client: ClientRow,
  userAgent: string | undefined,
  locale: string | null,
): string {
  const name = client.metadata.client_name ?? ulidFromUuid(client.id)
  const device = describeUserAgent(userAgent)
  return device === undefined
    ? name
    : translate.text(locale ?? 'en', 'session.name', { client: name, device })
}
