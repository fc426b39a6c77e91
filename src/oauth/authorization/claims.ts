import type { Deps } from '../../deps.ts'
import { OAuthError } from '../../http/errors.ts'
import { uuidFromUlid } from '../../lib/ulid.ts'
import { servedAcrs } from '../acr.ts'

/** What the parameter `claims` asks for, as far as we act on it. */
export interface ClaimsRequest {
  /** Who must answer: a `sub` with a value. */
  userId: string | undefined
  acr: boolean
  /** Without a sign-in of the class that is asked for there is no answer. */
  acrRequired: boolean
  /** The scopes that have the claims which were asked for one by one. */
  scopes: string[]
}

/** Claims by the scope that gives them (OpenID Connect Core section 5.4). */
export const SCOPE_CLAIMS: Record<string, readonly string[]> = {
  profile: ['name', 'preferred_username'],
  email: ['email', 'email_verified'],
}

type Members = Record<string, { essential?: unknown; value?: unknown; values?: unknown } | null>

const invalid = (description: string) => new OAuthError('invalid_request', { description })

/**
 * The parameter `claims` (OpenID Connect Core section 5.5). Names that we do not know are left out, as it says; claims of
 * a scope count as that scope, so that the person sees them on the consent page (decision 16).
 *
 * @throws OAuthError invalid_request, unmet_authentication_requirements
 */
export function readClaims(deps: Pick<Deps, 'config'>, text: string | undefined): ClaimsRequest {
  if (text === undefined) return { userId: undefined, acr: false, acrRequired: false, scopes: [] }
  const { id_token: idToken, userinfo } = parseClaims(text)
  const names = [...Object.keys(idToken), ...Object.keys(userinfo)]
  const scopes = Object.keys(SCOPE_CLAIMS).filter((scope) =>
    SCOPE_CLAIMS[scope]?.some((claim) => names.includes(claim)),
  )
  const wanted = essentialAcrs(idToken)
  checkAcr(deps, wanted)
  return {
    userId: subjectOf([idToken, userinfo]),
    acr: Object.hasOwn(idToken, 'acr'),
    acrRequired: wanted.length > 0,
    scopes,
  }
}

function parseClaims(text: string): { id_token: Members; userinfo: Members } {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw invalid('The parameter claims is not JSON.')
  }
  if (!isObject(parsed)) throw invalid('The parameter claims is not a JSON object.')
  return { id_token: membersOf(parsed.id_token), userinfo: membersOf(parsed.userinfo) }
}

function membersOf(value: unknown): Members {
  if (value === undefined || value === null) return {}
  if (!isObject(value) || !Object.values(value).every((member) => member === null || isObject(member)))
    throw invalid('A member of the parameter claims is not a JSON object.')
  return value as Members
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Section 5.5.1: an answer for a `sub` is about that person or about nobody. */
function subjectOf(places: Members[]): string | undefined {
  const wanted = places.map(({ sub }) => sub?.value).filter((value) => value !== undefined)
  const [first] = wanted
  if (first === undefined) return undefined
  if (wanted.some((value) => value !== first)) throw invalid('The parameter claims asks for two subjects.')
  // One that is not ours gets nobody's account, as if it were somebody who is not here.
  return (typeof first === 'string' ? uuidFromUlid(first) : undefined) ?? NOBODY
}

/** No account has this id: ULIDs begin with the time. */
const NOBODY = '00000000-0000-0000-0000-000000000000'

/** The classes of which an essential `acr` wants one (section 5.5.1.1); none for one without values. */
function essentialAcrs({ acr }: Members): unknown[] {
  if (acr?.essential !== true) return []
  return Array.isArray(acr.values) ? acr.values : acr.value === undefined ? [] : [acr.value]
}

/**
 * Section 5.5.1.1: an essential acr that no sign-in here has is a failed sign-in. Whether this person’s has it is known
 * when they are there (`sign-in-needed.ts`).
 */
function checkAcr(deps: Pick<Deps, 'config'>, wanted: unknown[]): void {
  const served = servedAcrs(deps)
  if (wanted.length > 0 && !served.some((acr) => wanted.includes(acr)))
    throw new OAuthError('unmet_authentication_requirements')
}
