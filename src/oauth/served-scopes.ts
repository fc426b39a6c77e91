import type { Config } from '../config/schema.ts'
import { ADMIN_SCOPES } from '../lib/admin-scope.ts'
import { API_SCOPE, SYNAPSE_ADMIN, UNSTABLE_API_SCOPE } from '../lib/scope.ts'

/** Whether a listener has the admin API. */
export const servesAdminApi = ({ http }: Pick<Config, 'http'>): boolean =>
  http.listeners.some(({ resources }) => resources.some(({ name }) => name === 'adminapi'))

/**
 * The scopes that are good for something here (`scopes_supported`, RFC 8414 section 2); whether somebody may have them is
 * the policy's to say. Not among them: those of devices, of which there is no end, and that of MAS's GraphQL, which is
 * granted to old scripts and opens nothing (decision 22).
 */
export const servedScopes = (config: Pick<Config, 'http' | 'matrix'>): string[] => [
  'openid',
  'profile',
  'email',
  'offline_access',
  API_SCOPE,
  UNSTABLE_API_SCOPE,
  ...(config.matrix.kind === 'standalone' ? [] : [SYNAPSE_ADMIN]),
  ...(servesAdminApi(config) ? ADMIN_SCOPES : []),
]
