import { setPreferences } from '../../sql/preferences.ts'
import type { Deps } from '../deps.ts'
import { languageCookie, noLanguageCookie } from '../http/browser.ts'
import { Unavailable } from '../http/errors.ts'
import type { Route } from '../http/route.ts'
import { DISPLAY_NAME_LIMIT, setDisplayName } from '../identity/profile.ts'
import { readOwnForm } from '../identity/visit.ts'
import type { FieldErrors, FormError } from '../render/contexts.ts'
import { accountPage, goTo, type Opened, openAccount } from './area.ts'

interface FormState {
  displayName?: string
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
  const again = (state: FormState) => profilePage(deps, opened, { displayName: name, ...state })
  if (!deps.config.account.displayname_change_allowed) return again({ formError: { code: 'not_allowed' } })
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
  if (!own) return profilePage(deps, opened, { formError: { code: 'expired_form' } })
  const locale = deps.translate.languages.find((tag) => tag === form.locale) ?? null
  const timeZone = timeZones().find((zone) => zone === form.time_zone) ?? null
  await setPreferences(deps.sql, opened.session.user_id, { locale, timeZone })
  const cookie = locale === null ? noLanguageCookie(deps.urls) : languageCookie(deps.urls, locale)
  return goTo(deps, opened, 'profile', { code: 'preferences_saved' }, [cookie])
}

/** The names of all time zones; UTC, which the platform leaves out, among them. */
const timeZones = (): string[] => ['UTC', ...Intl.supportedValuesOf('timeZone')]

async function profilePage(deps: Deps, opened: Opened, state?: FormState): Promise<Response> {
  const { session } = opened
  return accountPage(
    deps,
    opened,
    'profile',
    'account_profile',
    {
      name_change_allowed: deps.config.account.displayname_change_allowed,
      form: {
        display_name: state?.displayName ?? (await nameOf(deps, opened)) ?? '',
        errors: state?.errors ?? {},
        ...(state?.formError && { form_error: state.formError }),
      },
      ...(session.locale !== null && { locale: session.locale }),
      ...(session.time_zone !== null && { chosen_zone: session.time_zone }),
      time_zones: timeZones(),
    },
    {
      status: state ? (state.status ?? 422) : 200,
      retryAfter: state?.status === 503 ? 5 : undefined,
    },
  )
}

/** The name at the homeserver, where the person may have changed it; ours when it does not answer. */
async function nameOf(deps: Deps, { session }: Opened): Promise<string | undefined> {
  const known = session.display_name ?? undefined
  try {
    const user = await deps.homeserver.queryUser(session.username, { optional: true })
    return user ? user.displayName : known
  } catch {
    return known
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
