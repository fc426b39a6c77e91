import { MAS_ADMIN } from '../lib/scope.ts'

/** A part of the admin API. A token may be good for some of them only. */
export type AdminArea = 'users' | 'sessions' | 'clients' | 'server'

const PREFIX = 'urn:latchkey:admin:'

/** Reads everything, changes nothing. */
export const ADMIN_READ = `${PREFIX}read`

/** The scope that reads and changes one area. */
export const areaScope = (area: AdminArea): string => `${PREFIX}${area}`

/** Every scope of the admin API; the one of MAS stands for all. */
export const ADMIN_SCOPES: readonly string[] = [
  MAS_ADMIN,
  ADMIN_READ,
  ...(['users', 'sessions', 'clients', 'server'] as const).map(areaScope),
]

/** The scopes of which one is enough for an operation. */
export function scopesFor(area: AdminArea, reads: boolean): string[] {
  return [MAS_ADMIN, areaScope(area), ...(reads ? [ADMIN_READ] : [])]
}
