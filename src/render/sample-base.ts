import type { BaseContext, Contexts, PageName } from './contexts.ts'
import type { AccountArea, AccountSectionKey } from './contexts-account.ts'
import { directionOf } from './translate.ts'

/** A page as it may look: `base` overrides parts of the base context for this sample. */
export interface Sample<P extends PageName> {
  label: string
  context: Contexts[P]
  base?: Partial<BaseContext>
}

/** What a page must never let through as markup. */
export const HOSTILE = `"><script>alert(1)</script><img src=x onerror='alert(2)'>{{ 7*7 }}`

/** A base context for samples; `assets` is the caller's. */
export const sampleBase = (lang: string, assets: (name: string) => string): BaseContext => ({
  lang,
  dir: directionOf(lang),
  csrf: 'sample-csrf-token',
  branding: {
    service_name: 'Latchkey',
    policy_uri: 'https://example.org/privacy',
    tos_uri: 'https://example.org/terms',
    contact_uri: 'mailto:help@example.org',
    links: [{ name: 'Status of the service', uri: 'https://status.example.org/' }],
    imprint: 'Example Association, 1 Harbour Street',
  },
  server_name: 'example.org',
  standalone: false,
  base: '/auth/',
  assets,
  languages: [
    { tag: 'en', name: 'English' },
    { tag: 'de', name: 'Deutsch' },
  ],
  now: '2026-11-24T08:00:00.000Z',
})

// What the samples of several pages share.
export const GRANT = '01JDFX2V9S6QK3W4Z5Y7T8R9PA'
export const CONTINUATION = `kind=continue_authorization_grant&id=${GRANT}`
export const LONG = 'Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh-Cholmondeley'
export const RTL_NAME = 'نورا الحسيني'
export const HOSTILE_URI = 'javascript:alert(1)'

export const ELEMENT = { name: 'Tern', host: 'tern.example' }
/** The way back to an app that waits for an answer. */
export const BACK = {
  name: 'Tern',
  url: 'https://tern.example/callback?state=x&error=access_denied',
}
export const ALICE = { username: 'alice', mxid: '@alice:example.org', display_name: 'Alice Liddell' }
export const NO_ERRORS = { errors: {} }

/** What every page of the account area is given, in `section`. */
export const sampleArea = (section: AccountSectionKey, flash?: string): AccountArea => ({
  sections: [
    { key: 'overview', path: '' },
    { key: 'profile', path: 'profile' },
    { key: 'emails', path: 'emails' },
    { key: 'password', path: 'password/change' },
    { key: 'sessions', path: 'sessions' },
    { key: 'apps', path: 'apps' },
    { key: 'linked', path: 'linked' },
    { key: 'tokens', path: 'tokens' },
    { key: 'security', path: 'security' },
    { key: 'data', path: 'data' },
  ],
  section,
  ...(flash !== undefined && { flash: { code: flash, count: 2 } }),
})
