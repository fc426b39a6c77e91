import type { Deps } from '../deps.ts'
import { NotFound, Unavailable } from '../http/errors.ts'
import { readPageQuery } from '../http/params.ts'
import type { Route } from '../http/route.ts'
import { take } from '../identity/limits.ts'
import {
  canKeepPictures,
  findPicture,
  isRefusedPicture,
  PICTURE_LIMIT,
  pictureType,
  pictureVersion,
  removePicture,
  setPicture,
} from '../identity/picture.ts'
import { activeSession, openVisit, readOwnFileForm, readOwnForm } from '../identity/visit.ts'
import type { FieldError } from '../render/contexts.ts'
import { goTo, type Opened, openAccount } from './area.ts'
import { type ProfileState, profilePage } from './profile.ts'

/** Bytes of a form with a picture that is read to the end, so that its sender is told why it is not taken. */
const FORM_LIMIT = 2 * PICTURE_LIMIT
/** Pictures of one account: the homeserver keeps each of them. */
const UPLOADS = { burst: 10, per_second: 1 / 600 }

/** POST /account/profile/picture: another picture, checked by its first bytes and its size, and kept at the homeserver. */
async function save(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request, 'profile')
  if (opened instanceof Response) return opened
  const { file, own } = await readOwnFileForm(deps, opened.visit, FORM_LIMIT)
  const refuse = (error: FieldError) => profilePage(deps, opened, { errors: { picture: [error] } })
  if (!own) return profilePage(deps, opened, { formError: { code: 'expired_form' } })
  if (!canKeepPictures(deps.homeserver)) return profilePage(deps, opened, NOT_HERE)
  if (!file) return refuse({ code: 'required' })
  if (file.length > PICTURE_LIMIT) return refuse({ code: 'too_large', args: { max: 5 } })
  const type = pictureType(file)
  if (type === undefined) return refuse({ code: 'wrong_type' })
  await take(deps, 'picture', opened.session.user_id, UPLOADS)
  try {
    await setPicture(deps, opened.session, { type, bytes: file })
  } catch (error) {
    if (isRefusedPicture(error)) return refuse({ code: 'not_allowed' })
    return unavailable(deps, opened, error)
  }
  return goTo(deps, opened, 'profile', { code: 'picture_saved' })
}

const NOT_HERE: ProfileState = { formError: { code: 'not_here' } }

/** POST /account/profile/picture/remove */
async function remove(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request, 'profile')
  if (opened instanceof Response) return opened
  const { own } = await readOwnForm(deps, opened.visit)
  if (!own) return profilePage(deps, opened, { formError: { code: 'expired_form' } })
  if (!canKeepPictures(deps.homeserver)) return profilePage(deps, opened, NOT_HERE)
  try {
    await removePicture(deps, opened.session)
  } catch (error) {
    return unavailable(deps, opened, error)
  }
  return goTo(deps, opened, 'profile', { code: 'picture_removed' })
}

/** Says that the homeserver is away; any other error goes on. */
function unavailable(deps: Deps, opened: Opened, error: unknown): Promise<Response> {
  if (!(error instanceof Unavailable)) throw error
  deps.log.warn('picture.homeserver_unavailable', { error })
  return profilePage(deps, opened, { formError: { code: 'unavailable' }, status: 503 })
}

/**
 * GET /account/picture: the person's own picture. Homeservers give media to signed-in people only, and pages show
 * nothing from elsewhere. Its address has a version, so that the browser may keep it, and nobody else.
 */
async function show(deps: Deps, request: Request): Promise<Response> {
  const visit = await openVisit(deps, request)
  const session = activeSession(visit)
  const found =
    session && canKeepPictures(deps.homeserver)
      ? await findPicture(deps, session).catch((error: unknown) => {
          deps.log.warn('picture.homeserver_unavailable', { error })
          return undefined
        })
      : undefined
  if (!found) throw new NotFound()
  const current = readPageQuery(request).v === pictureVersion(found.uri)
  return new Response(found.picture.bytes, {
    headers: {
      'content-type': found.picture.type,
      'cache-control': current ? 'private, max-age=86400' : 'private, no-cache',
      vary: 'cookie',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      // Somebody who opens it by itself gets a picture and nothing that runs, whatever is in it.
      'content-security-policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
    },
  })
}

export const accountPictureRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/picture', handle: (request) => show(deps, request) },
  { method: 'POST', path: '/account/profile/picture', handle: (request) => save(deps, request) },
  { method: 'POST', path: '/account/profile/picture/remove', handle: (request) => remove(deps, request) },
]
