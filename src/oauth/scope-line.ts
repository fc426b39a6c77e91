import { deviceOfScope, isApiScope, MAS_ADMIN, SYNAPSE_ADMIN } from '../lib/scope.ts'
import type { ScopeLine } from '../render/contexts.ts'

/** A scope as pages tell it. */
export function scopeLine(scope: string): ScopeLine {
  if (isApiScope(scope)) return { code: 'matrix_api', dangerous: false }
  if (deviceOfScope(scope) !== undefined) return { code: 'device', dangerous: false }
  if (scope === SYNAPSE_ADMIN) return { code: 'synapse_admin', dangerous: true }
  if (scope === MAS_ADMIN) return { code: 'mas_admin', dangerous: true }
  if (scope === 'openid' || scope === 'email' || scope === 'profile' || scope === 'offline_access')
    return { code: scope, dangerous: false }
  return { code: 'other', text: scope, dangerous: false }
}
