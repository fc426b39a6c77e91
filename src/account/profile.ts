import { setPreferences } from '../../sql/preferences.ts'
import type { Deps } from '../deps.ts'
import { languageCookie, noLanguageCookie } from '../http/browser.ts'
import { Unavailable } from '../http/errors.ts'
import type { Route } from '../http/route.ts'
import { canKeepPictures, picturePath } from '../identity/picture.ts'
import { DISPLAY_NAME_LIMIT, setDisplayName } from '../identity/profile.ts'
import { readOwnForm } from '../identity/visit.ts'
import type { HomeserverUser } from '../matrix/homeserver/homeserver.ts'
import type { FieldErrors, FormError } from '../render/contexts.ts'
import { accountPage, goTo, type Opened, openAccount } from './area.ts'

export interface ProfileState {
  displayName?: string
  /** What was chosen of the language and the time zone. */
  preferences?: { locale: string | undefined; timeZone: string | undefined }
  errors?: FieldErrors
  formError?: FormError
  status?: number
}

/** GET /account/profile: the name that others see, the language and the time zone. */
async function show(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  return opened instanceof Response ? opened : profilePage(deps, opened)
}

/** POST /account/profile: the display name, at the homeserver and here; an empty one takes it away. */
async function saveName(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { form, own } = await readOwnForm(deps, opened.visit)
  const name = (form.display_name ?? '').trim()
  const again = (state: ProfileState) => profilePage(deps, opened, { displayName: name, ...state })
  if (!nameChangeAllowed(deps)) return again({ formError: { code: 'not_allowed' } })
  if (!own) return again({ formError: { code: 'expired_form' } })
  // Bytes, which for most names are characters; the homeserver would refuse a longer one.
  if (new TextEncoder().encode(name).length > DISPLAY_NAME_LIMIT)
    return again({ errors: { display_name: [{ code: 'too_long', args: { max: DISPLAY_NAME_LIMIT } }] } })
  try {
    await setDisplayName(deps, opened.session.user_id, name === '' ? null : name)
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    deps.log.warn('profile.homeserver_unavailable', { error })
    return again({ formError: { code: 'unavailable' }, status: 503 })
  }
  return goTo(deps, opened, 'profile', { code: 'name_saved' })
}

/** POST /account/profile/preferences: language and time zone. Empty: as the browser says. */
async function savePreferences(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request, 'profile')
  if (opened instanceof Response) return opened
  const { form, own } = await readOwnForm(deps, opened.visit)
  const locale = deps.translate.languages.find((tag) => tag === form.locale)
  const timeZone = timeZones().find((zone) => zone === form.time_zone)
  if (!own)
    return profilePage(deps, opened, {
      preferences: { locale, timeZone },
      formError: { code: 'expired_form' },
    })
  const preferences = { locale: locale ?? null, timeZone: timeZone ?? null }
  await setPreferences(deps.sql, opened.session.user_id, preferences)
  const cookie = locale === undefined ? noLanguageCookie(deps.urls) : languageCookie(deps.urls, locale)
  return goTo(deps, opened, 'profile', { code: 'preferences_saved' }, [cookie])
}

/** The names of all time zones; UTC, which the platform leaves out, among them. */
const timeZones = (): string[] => ['UTC', ...Intl.supportedValuesOf('timeZone')]

/** Whether people set their names here: nothing of the homeserver is changed that Latchkey only reads. */
const nameChangeAllowed = ({ config, homeserver }: Pick<Deps, 'config' | 'homeserver'>): boolean =>
  config.account.displayname_change_allowed && homeserver.kind !== 'synapse_read_only'

/** The profile, with what was typed and what is wrong with it. */
export async function profilePage(deps: Deps, opened: Opened, state?: ProfileState): Promise<Response> {
  const { session } = opened
  const there = await userThere(deps, opened)
  const { locale, timeZone } = state?.preferences ?? {
    locale: session.locale ?? undefined,
    timeZone: session.time_zone ?? undefined,
  }
  const known = there ? there.displayName : (session.display_name ?? undefined)
  return accountPage(
    deps,
    opened,
    'profile',
    'account_profile',
    {
      name_change_allowed: nameChangeAllowed(deps),
      read_only: deps.homeserver.kind === 'synapse_read_only',
      ...(canKeepPictures(deps.homeserver) && {
        picture: there?.avatarUrl === undefined ? {} : { path: picturePath(there.avatarUrl) },
      }),
      form: {
        display_name: state?.displayName ?? known ?? '',
        errors: state?.errors ?? {},
        ...(state?.formError && { form_error: state.formError }),
      },
      ...(locale !== undefined && { locale }),
      ...(timeZone !== undefined && { chosen_zone: timeZone }),
      time_zones: timeZones(),
    },
    {
      status: state ? (state.status ?? 422) : 200,
      retryAfter: state?.status === 503 ? 5 : undefined,
    },
  )
}

/** The person as the homeserver knows them, who may have changed the name there; undefined when it does not answer. */
async function userThere(deps: Deps, { session }: Opened): Promise<HomeserverUser | undefined> {
  try {
    return await deps.homeserver.queryUser(session.username, { optional: true })
  } catch {
    return undefined
  }
}

export const accountProfileRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/profile', handle: (request) => show(deps, request) },
  { method: 'POST', path: '/account/profile', handle: (request) => saveName(deps, request) },
  {
    method: 'POST',
    path: '/account/profile/preferences',
    handle: (request) => savePreferences(deps, request),
  },
]
