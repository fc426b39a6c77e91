import type { Config } from '../../config/schema.ts'
import { MatrixError } from '../../http/errors.ts'

/** Whom a login names: `identifier`, or the members that clients sent before it existed. */
export interface Named {
  identifier?: ThirdParty & { type: string; user?: string }
  user?: string
  medium?: string
  address?: string
}

interface ThirdParty {
  medium?: string
  address?: string
}

/**
 * The name or address that a login with a password is for (reference 9.2). A top-level `user` wins, as it does in MAS.
 * Addresses only where the configuration lets people sign in with them; telephone numbers never.
 *
 * @throws MatrixError M_UNKNOWN for a kind of identifier that is not supported, M_BAD_JSON when there is none
 */
export function identifierOf(config: Pick<Config, 'account'>, body: Named): string {
  if (body.user !== undefined) return body.user
  const { identifier } = body
  if (identifier?.type === 'm.id.user') {
    if (identifier.user !== undefined) return identifier.user
  } else if (identifier === undefined || identifier.type === 'm.id.thirdparty') {
    const address = emailOf(config, identifier ?? body)
    if (address !== undefined) return address
  } else throw unsupported()
  throw new MatrixError('M_BAD_JSON', 400, 'The login names nobody: it needs an identifier.')
}

function emailOf(config: Pick<Config, 'account'>, { medium, address }: ThirdParty): string | undefined {
  if (medium === undefined || address === undefined) return undefined
  if (medium !== 'email' || !config.account.login_with_email_allowed) throw unsupported()
  return address
}

const unsupported = (): MatrixError => new MatrixError('M_UNKNOWN', 400, 'Unsupported login identifier')
