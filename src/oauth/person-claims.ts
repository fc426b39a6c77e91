import type { Db } from '../../sql/connect.ts'
import { findPersonClaims } from '../../sql/oauth-sessions.ts'

/** Claims about a person that scopes give (OpenID Connect Core section 5.4). */
export interface PersonClaims {
  preferred_username?: string
  name?: string
  email?: string
  email_verified?: true
}

const CLAIM_SCOPES = ['profile', 'email']

/** The scopes among these that give claims about the person. */
export const claimScopesOf = (scope: readonly string[]): string[] =>
  scope.filter((one) => CLAIM_SCOPES.includes(one))

/**
 * What a session may tell about its person: only what was on the consent page that it came from, as things are now, and
 * no address that was not verified (decision 16).
 */
export async function personClaims(
  sql: Db,
  sessionId: string,
  scope: readonly string[],
): Promise<PersonClaims> {
  if (claimScopesOf(scope).length === 0) return {}
  const [row] = await findPersonClaims(sql, sessionId)
  if (!row) return {}
  const { claim_scopes: shown, username, display_name: name, email } = row
  return {
    ...(shown.includes('profile') && { preferred_username: username, ...(name !== null && { name }) }),
    ...(shown.includes('email') && email !== null && { email, email_verified: true }),
  }
}
