import { MAS_ADMIN } from './scope.ts'

/** The parts of the admin API. A token may be good for some of them only. */
export const ADMIN_AREAS = ['users', 'sessions', 'clients', 'server'] as const
export type AdminArea = (typeof ADMIN_AREAS)[number]

const PREFIX = 'urn:latchkey:admin:'

/** Reads everything, changes nothing. */
const ADMIN_READ = `${PREFIX}read`

/** Every scope of the admin API; the one of MAS stands for all. */
export const ADMIN_SCOPES: readonly string[] = [
  MAS_ADMIN,
  ADMIN_READ,
  ...ADMIN_AREAS.map((area) => PREFIX + area),
]

/** Whether a scope lets its holder use the admin API, or a part of it. */
export const isAdminApiScope = (scope: string): boolean => ADMIN_SCOPES.includes(scope)

/** What an admin scope is good for: everything, reading, or one area; undefined for any other scope. */
export function adminPartOf(scope: string): 'all' | 'read' | AdminArea | undefined {
  if (scope === MAS_ADMIN) return 'all'
  if (scope === ADMIN_READ) return 'read'
  return ADMIN_AREAS.find((area) => scope === PREFIX + area)
}

/** The scopes of which one is enough for an operation. */
export function scopesFor(operation: { area: AdminArea; method: string; everythingOnly?: true }): string[] {
  if (operation.everythingOnly) return [MAS_ADMIN]
  return [MAS_ADMIN, PREFIX + operation.area, ...(operation.method === 'GET' ? [ADMIN_READ] : [])]
}
