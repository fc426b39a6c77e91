import type { Requester } from '../../http/requester.ts'
import { ulidFromUuid } from '../../lib/ulid.ts'

/** What modules are told (reference operations 6.2). The names are those of MAS, so that its modules go on working. */

/** An account as modules see it. */
export interface ModuleUser {
  id: string
  username: string
  is_admin: boolean
  created_at: Date
  locked_at: Date | null
  deactivated_at: Date | null
}

/** A client as modules see it: without its secret and its digest, which MAS hands over (defect 17). */
export interface ModuleClient {
  id: string
  auth_method: string
  redirect_uris: string[]
  grant_types: string[]
  metadata: object
}

export const requesterInput = ({ ip, userAgent }: Requester) => ({
  ...(ip !== undefined && { ip_address: ip }),
  ...(userAgent !== undefined && { user_agent: userAgent }),
})

export const userInput = (user: ModuleUser) => ({
  id: ulidFromUuid(user.id),
  username: user.username,
  sub: ulidFromUuid(user.id),
  created_at: user.created_at.toISOString(),
  locked_at: user.locked_at?.toISOString() ?? null,
  deactivated_at: user.deactivated_at?.toISOString() ?? null,
  can_request_admin: user.is_admin,
  is_guest: false,
})

export const clientInput = ({ id, auth_method, redirect_uris, grant_types, metadata }: ModuleClient) => ({
  ...metadata,
  id: ulidFromUuid(id),
  client_id: ulidFromUuid(id),
  redirect_uris,
  grant_types,
  token_endpoint_auth_method: auth_method,
})
