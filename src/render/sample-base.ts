import type { BaseContext } from './contexts.ts'

/** What a page must never let through as markup. */
export const HOSTILE = `"><script>alert(1)</script><img src=x onerror='alert(2)'>{{ 7*7 }}`

/** A base context for samples; `assets` is the caller's. */
export const sampleBase = (lang: string, assets: (name: string) => string): BaseContext => ({
  lang,
  dir: 'ltr',
  csrf: 'sample-csrf-token',
  branding: {
    service_name: 'Latchkey',
    policy_uri: 'https://example.org/privacy',
    tos_uri: 'https://example.org/terms',
    imprint: 'Example Association, 1 Harbour Street',
  },
  server_name: 'example.org',
  standalone: false,
  base: '/auth/',
  assets,
  now: '2026-11-24T08:00:00.000Z',
})
