import { newInternalToken } from '../crypto/internal-token.ts'
import type { Deps } from '../deps.ts'
import { base64url } from '../lib/base64url.ts'
import { sha256 } from '../lib/digest.ts'
import { type Homeserver, HomeserverError, type Picture } from '../matrix/homeserver/homeserver.ts'
import { ensureProvisioned, rethrow } from './devices.ts'

/** Bytes of a picture of a person: what telephones make. */
export const PICTURE_LIMIT = 5 * 1024 * 1024

type Needs = Pick<Deps, 'sql' | 'clock' | 'secrets' | 'homeserver' | 'log'>
type Person = { user_id: string; username: string }

/** Whether there is a homeserver that takes pictures from us. */
export const canKeepPictures = ({ kind }: Pick<Homeserver, 'kind'>): boolean =>
  kind === 'synapse' || kind === 'synapse_legacy'

/**
 * Uploads a picture in the person's own name and makes it theirs, at once: a job would have to keep it meanwhile. The
 * picture goes on as it is; whoever calls this has looked at its type and size.
 *
 * @throws Unavailable, HomeserverError `rejected` when the homeserver does not want this picture
 */
export async function setPicture(deps: Needs, person: Person, picture: Picture): Promise<void> {
  await ensureProvisioned(deps, person.user_id)
  try {
    const uri = await deps.homeserver.uploadMedia(tokenFor(deps, person), picture)
    await deps.homeserver.setAvatarUrl(person.username, uri)
  } catch (error) {
    if (isRefusedPicture(error)) throw error
    rethrow(error)
  }
  deps.log.info('user.picture_set', { user_id: person.user_id, bytes: picture.bytes.length })
}

/** Whether the homeserver looked at a picture and does not want it: too large for it, or a rule of its own. */
export const isRefusedPicture = (error: unknown): boolean =>
  error instanceof HomeserverError && error.kind === 'rejected' && error.status !== 404

/** Takes the picture of a person away. The homeserver keeps the file, as it does for every app. @throws Unavailable */
export async function removePicture(deps: Needs, person: Person): Promise<void> {
  await ensureProvisioned(deps, person.user_id)
  await deps.homeserver.setAvatarUrl(person.username, null).catch(rethrow)
  deps.log.info('user.picture_removed', { user_id: person.user_id })
}

/** The picture of a person, made small, and where it is kept; undefined without one. @throws HomeserverError */
export async function findPicture(
  deps: Needs,
  person: Person,
): Promise<{ uri: string; picture: Picture } | undefined> {
  const user = await deps.homeserver.queryUser(person.username, { optional: true })
  if (user?.avatarUrl === undefined) return undefined
  const picture = await deps.homeserver.thumbnail(tokenFor(deps, person), user.avatarUrl)
  const type = picture && pictureType(picture.bytes)
  return picture && type ? { uri: user.avatarUrl, picture: { type, bytes: picture.bytes } } : undefined
}

/** Where pages find the picture: a new picture has a new address, so a browser may keep it. */
export const picturePath = (uri: string): string => `account/picture?v=${pictureVersion(uri)}`

/** What stands for a picture in its address. */
export const pictureVersion = (uri: string): string => base64url(sha256(uri)).slice(0, 16)

const tokenFor = (deps: Pick<Deps, 'clock' | 'secrets'>, person: Person): string =>
  newInternalToken(deps.secrets.internal, person.user_id, deps.clock.now())

/** The media type that the first bytes of a picture tell; undefined for anything else. No SVG: it is a program. */
export function pictureType(bytes: Uint8Array): string | undefined {
  const hex = bytes.subarray(0, 12).toHex()
  if (hex.startsWith('89504e470d0a1a0a')) return 'image/png'
  if (hex.startsWith('ffd8ff')) return 'image/jpeg'
  if (hex.startsWith('474946383761') || hex.startsWith('474946383961')) return 'image/gif'
  return /^52494646.{8}57454250$/.test(hex) ? 'image/webp' : undefined
}
