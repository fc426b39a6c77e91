import { adminPartOf } from '../lib/admin-scope.ts'
import { deviceOfScope, isApiScope, SYNAPSE_ADMIN } from '../lib/scope.ts'
import type { ScopeLine } from '../render/contexts.ts'

/** A scope as pages tell it. */
export function scopeLine(scope: string): ScopeLine {
  if (isApiScope(scope)) return { code: 'matrix_api', dangerous: false }
  if (deviceOfScope(scope) !== undefined) return { code: 'device', dangerous: false }
  if (scope === SYNAPSE_ADMIN) return { code: 'synapse_admin', dangerous: true }
  const part = adminPartOf(scope)
  if (part !== undefined) return { code: part === 'all' ? 'mas_admin' : `admin_${part}`, dangerous: true }
  if (scope === 'openid' || scope === 'email' || scope === 'profile' || scope === 'offline_access')
    return { code: scope, dangerous: false }
  return { code: 'other', text: scope, dangerous: false }
}
