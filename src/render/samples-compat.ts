import { ALICE, GRANT, HOSTILE, LONG, RTL_NAME, type Sample } from './sample-base.ts'

/** The pages on which a client of the older login API is let in. */
export const compatSamples: {
  [P in 'compat_sso' | 'compat_sso_cancelled']: Sample<P>[]
} = {
  compat_sso: [
    {
      label: 'site',
      context: {
        login_id: GRANT,
        target: 'chat.tern.example',
        kind: 'web',
        user: { mxid: ALICE.mxid, display_name: ALICE.display_name },
      },
      base: { session: ALICE },
    },
    {
      label: 'app, no name',
      context: { login_id: GRANT, target: 'org.tern.chat', kind: 'app', user: { mxid: ALICE.mxid } },
      base: { session: ALICE },
    },
    {
      label: 'long and right-to-left',
      context: {
        login_id: GRANT,
        target: `${LONG.toLowerCase()}.example.org:8443`,
        kind: 'web',
        user: { mxid: `@${LONG.toLowerCase()}:example.org`, display_name: RTL_NAME },
      },
      base: { dir: 'rtl' },
    },
    {
      label: 'hostile',
      context: {
        login_id: HOSTILE,
        target: HOSTILE,
        kind: 'app',
        user: { mxid: HOSTILE, display_name: HOSTILE },
      },
    },
  ],
  compat_sso_cancelled: [
    { label: 'site', context: { target: 'chat.tern.example', kind: 'web' }, base: { session: ALICE } },
    { label: 'app', context: { target: 'org.tern.chat', kind: 'app' }, base: { session: ALICE } },
    { label: 'hostile', context: { target: HOSTILE, kind: 'web' } },
  ],
}
