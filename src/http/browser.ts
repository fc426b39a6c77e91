import { base64url } from '../lib/base64url.ts'
import { sha256 } from '../lib/digest.ts'
import type { Random } from '../lib/random.ts'
import { readCookie, writeCookie } from './cookies.ts'
import type { Urls } from './urls.ts'

/** Seconds that the browser's own cookie lives after the last page: longer than any sign-in or sign-up under way. */
const BROWSER_LIFETIME = 24 * 3600
/** Seconds that the session cookie lives: 400 days, the most that browsers keep. The database decides validity. */
const SESSION_LIFETIME = 400 * 24 * 3600

/**
 * The browser that asks. Its random id ties forms, authorization requests and sign-ups to it, so that a link which
 * somebody sends cannot continue theirs in another browser (edge 8).
 */
export interface Browser {
  id: string
  /** The value of the session cookie, if one was sent. */
  sessionSecret: string | undefined
  /** The value of the cookie that tells known browsers; set at the first sign-in. */
  knownSecret: string | undefined
  /** Set-Cookie values that the response must carry. */
  cookies: string[]
}

/** Reads a browser's cookies; one without an id gets one. */
export function readBrowser(urls: Urls, random: Random, request: Request): Browser {
  const sent = readCookie(urls, request, 'browser')
  const id = sent !== undefined && /^[\w-]{43}$/.test(sent) ? sent : base64url(random.bytes(32))
  const secret = readCookie(urls, request, 'session')
  const known = readCookie(urls, request, 'known')
  return {
    id,
    sessionSecret: secret !== undefined && /^[\w-]{43}$/.test(secret) ? secret : undefined,
    knownSecret: known !== undefined && /^[\w-]{43}$/.test(known) ? known : undefined,
    cookies: [writeCookie(urls, 'browser', id, BROWSER_LIFETIME)],
  }
}

/** What a grant or sign-up keeps to recognise its browser. */
export const browserHash = (browser: Pick<Browser, 'id'>): Uint8Array => sha256(`browser\n${browser.id}`)

/** What the database keeps of a session cookie. */
export const sessionHash = (secret: string): Uint8Array => sha256(secret)

/** The Set-Cookie value of a new session. */
export const sessionCookie = (urls: Urls, secret: string): string =>
  writeCookie(urls, 'session', secret, SESSION_LIFETIME)

/** Seconds that a chosen language is kept. */
const LANGUAGE_LIFETIME = 400 * 24 * 3600

/** The Set-Cookie value of a chosen language. */
export const languageCookie = (urls: Urls, locale: string): string =>
  writeCookie(urls, 'language', locale, LANGUAGE_LIFETIME)

/** The Set-Cookie value that forgets a chosen language. */
export const noLanguageCookie = (urls: Urls): string => writeCookie(urls, 'language', '', 0)

/** Seconds in which providers are told that somebody signed out here: they should ask who it is, then. */
const LEFT_LIFETIME = 300

/** The Set-Cookie value that remembers a sign-out. */
export const leftCookie = (urls: Urls): string => writeCookie(urls, 'left', '1', LEFT_LIFETIME)

/** The Set-Cookie value that ends a session in the browser. */
export const noSessionCookie = (urls: Urls): string => writeCookie(urls, 'session', '', 0)
