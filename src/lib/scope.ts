/** Scopes: their syntax (RFC 6749 section 3.3), and the Matrix ones in both spellings (reference 6). */

const API = { stable: 'urn:matrix:client:api:*', unstable: 'urn:matrix:org.matrix.msc2967.client:api:*' }
const DEVICE = {
  stable: 'urn:matrix:client:device:',
  unstable: 'urn:matrix:org.matrix.msc2967.client:device:',
}

/** What lets its holder use the Matrix API, and the scope of one device, as they are written today. */
export const API_SCOPE = API.stable
/** The first as older apps write it (MSC2967). */
export const UNSTABLE_API_SCOPE = API.unstable
export const deviceScope = (id: string): string => DEVICE.stable + id

export const SYNAPSE_ADMIN = 'urn:synapse:admin:*'
export const MAS_ADMIN = 'urn:mas:admin'

/** One scope (RFC 6749 section 3.3). */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** The scopes of a request, each once and sorted; undefined when the text is not a scope. */
export function parseScope(text: string): string[] | undefined {
  const scopes = text.split(' ')
  if (!scopes.every((scope) => SCOPE.test(scope))) return undefined
  return [...new Set(scopes)].sort()
}

export const isApiScope = (scope: string): boolean => scope === API.stable || scope === API.unstable

/** The device id in a device scope of either spelling; undefined for other scopes. */
export function deviceOfScope(scope: string): string | undefined {
  if (scope.startsWith(DEVICE.stable)) return scope.slice(DEVICE.stable.length)
  if (scope.startsWith(DEVICE.unstable)) return scope.slice(DEVICE.unstable.length)
  return undefined
}

/** The Matrix device that a set of scopes names, if any. */
export function deviceOf(scopes: readonly string[]): string | undefined {
  for (const scope of scopes) {
    const device = deviceOfScope(scope)
    if (device !== undefined) return device
  }
  return undefined
}

/** Whether a scope is a Matrix one: such requests are refused on a page, not by a redirect (decision 11). */
export const isMatrixScope = (scope: string): boolean =>
  isApiScope(scope) || deviceOfScope(scope) !== undefined

/** Which spelling a Matrix scope has; undefined for other scopes. */
export function spellingOf(scope: string): 'stable' | 'unstable' | undefined {
  if (scope === API.stable || scope.startsWith(DEVICE.stable)) return 'stable'
  if (scope === API.unstable || scope.startsWith(DEVICE.unstable)) return 'unstable'
  return undefined
}

/** The scopes as introspection tells them: every Matrix scope in both spellings, sorted by byte (reference 5.3). */
export function normaliseScope(scopes: readonly string[]): string {
  const all: string[] = []
  for (const scope of scopes) {
    const device = deviceOfScope(scope)
    if (isApiScope(scope)) all.push(API.stable, API.unstable)
    else if (device !== undefined) all.push(DEVICE.stable + device, DEVICE.unstable + device)
    else all.push(scope)
  }
  // A session that was granted both spellings would name each twice.
  return all
    .sort()
    .filter((scope, index) => scope !== all[index - 1])
    .join(' ')
}

/**
 * The scopes that the token of a legacy client stands for (reference 5.3): it has none of its own. Undefined when the
 * device is to be among them and its id cannot be written as a scope (edge 49).
 */
export function legacyScope(session: { deviceId: string | null; synapseAdmin: boolean }): string | undefined {
  const scopes = [API.stable]
  if (session.synapseAdmin) scopes.push(SYNAPSE_ADMIN)
  if (session.deviceId !== null) {
    if (!SCOPE.test(session.deviceId)) return undefined
    scopes.push(DEVICE.stable + session.deviceId)
  }
  return normaliseScope(scopes)
}

/** What a consent is remembered for: the scopes without the device, which differs at every sign-in (decision 10). */
export const consentScope = (scopes: readonly string[]): string =>
  scopes.filter((scope) => deviceOfScope(scope) === undefined).join(' ')
