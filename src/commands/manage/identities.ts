import { findUpstreamProvider } from '../../../sql/admin-upstream.ts'
import type { Deps } from '../../deps.ts'
import { ulidFromUuid, uuidFromUlid } from '../../lib/ulid.ts'
import { CommandError } from '../context.ts'

/** Who somebody is at a provider. */
export interface Identity {
  providerId: string
  /** What people call the provider. */
  name: string
  subject: string
}

/** Characters that a subject may have, as where one comes from a provider. */
const SUBJECT_LIMIT = 1000

/** Reads `ID:SUBJECT`; a subject may have colons of its own. @throws CommandError */
export function readMapping(text: string): { providerId: string; subject: string } {
  const [, id = '', subject = ''] = /^([^:]*):(.+)$/s.exec(text) ?? []
  const providerId = uuidFromUlid(id)
  if (providerId === undefined || subject.length > SUBJECT_LIMIT)
    throw new CommandError(
      `${text} is not the id of a provider and a subject there; for example 01JDFX2V9S6QK3W4Z5Y7T8R9PA:5f2b6c`,
    )
  return { providerId, subject }
}

/** The identities of mappings, at providers that the database knows. @throws CommandError */
export const findIdentities = (
  deps: Pick<Deps, 'sql' | 'upstream'>,
  mappings: readonly { providerId: string; subject: string }[],
): Promise<Identity[]> =>
  Promise.all(
    mappings.map(async ({ providerId, subject }) => {
      const [provider] = await findUpstreamProvider(deps.sql, providerId)
      const id = ulidFromUuid(providerId)
      if (provider) return { providerId, subject, name: provider.human_name ?? provider.issuer ?? id }
      throw new CommandError(
        deps.upstream.provider(id)
          ? `The provider ${id} is not in the database yet; run: latchkey config sync`
          : `There is no provider ${id} in upstream_oauth2.providers.`,
      )
    }),
  )

/** As on the command line. */
export const mappingOf = ({ providerId, subject }: Identity): string =>
  `${ulidFromUuid(providerId)}:${subject}`

/** As the admin API names it. */
export const identityRecord = ({ providerId, subject }: Identity) => ({
  provider_id: ulidFromUuid(providerId),
  subject,
})
