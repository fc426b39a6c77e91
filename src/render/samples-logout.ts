import {
  ALICE,
  CONTINUATION,
  ELEMENT,
  GRANT,
  HOSTILE,
  HOSTILE_URI,
  LONG,
  RTL_NAME,
  type Sample,
} from './sample-base.ts'

/** Pages on the way out of an account. */
export const logoutSamples: {
  [P in 'end_session' | 'logged_out' | 'sign_out']: Sample<P>[]
} = {
  end_session: [
    {
      label: 'asked by a client',
      context: {
        signed_in: true,
        mxid: ALICE.mxid,
        client: ELEMENT,
        returns_to: { kind: 'web', host: 'tern.example' },
        return_refused: false,
        apps: 2,
        with_apps: true,
        carried: [['client_id', GRANT]],
      },
      base: { session: ALICE },
    },
    {
      label: 'asked by nobody',
      context: {
        signed_in: true,
        mxid: ALICE.mxid,
        return_refused: false,
        apps: 0,
        with_apps: false,
        carried: [],
      },
      base: { session: ALICE },
    },
    {
      label: 'a way back that is not registered',
      context: {
        signed_in: true,
        mxid: ALICE.mxid,
        client: ELEMENT,
        return_refused: true,
        apps: 0,
        with_apps: false,
        carried: [['client_id', GRANT]],
      },
      base: { session: ALICE },
    },
    {
      label: 'an app on this device',
      context: {
        signed_in: true,
        mxid: ALICE.mxid,
        client: ELEMENT,
        returns_to: { kind: 'app' },
        return_refused: false,
        apps: 0,
        with_apps: false,
        carried: [],
      },
      base: { session: ALICE },
    },
    {
      label: 'signed out already',
      context: {
        signed_in: false,
        client: ELEMENT,
        returns_to: { kind: 'web', host: 'tern.example' },
        return_refused: false,
        apps: 0,
        with_apps: false,
        carried: [['client_id', GRANT]],
      },
    },
    {
      label: 'long and right to left',
      context: {
        signed_in: true,
        mxid: `@${LONG.toLowerCase()}:example.org`,
        client: { name: RTL_NAME, host: `${LONG.toLowerCase()}.example` },
        returns_to: { kind: 'web', host: `${LONG.toLowerCase()}.example` },
        return_refused: false,
        apps: 0,
        with_apps: false,
        carried: [],
      },
      base: { dir: 'rtl', session: ALICE },
    },
    {
      label: 'hostile',
      context: {
        signed_in: true,
        mxid: HOSTILE,
        client: { name: HOSTILE, host: HOSTILE, logo_uri: HOSTILE_URI },
        returns_to: { kind: 'web', host: HOSTILE },
        return_refused: true,
        apps: 0,
        with_apps: false,
        carried: [['state', HOSTILE]],
      },
      base: { session: ALICE },
    },
  ],
  logged_out: [
    { label: 'plain', context: { continuation: '', apps_ended: false } },
    { label: 'with the apps', context: { continuation: '', apps_ended: true } },
    { label: 'on the way to a client', context: { continuation: CONTINUATION, apps_ended: false } },
    {
      label: 'on the way to the sign-out of a provider',
      context: {
        continuation: '',
        apps_ended: false,
        provider: { name: LONG, url: 'https://sso.example.com/logout?id_token_hint=eyJ&state=x' },
      },
    },
    {
      label: 'hostile',
      context: {
        continuation: '',
        apps_ended: false,
        provider: { name: HOSTILE, url: 'https://sso.example.com/logout?id_token_hint=eyJ&state=x' },
      },
    },
  ],
  sign_out: [
    {
      label: 'too old',
      context: { mxid: ALICE.mxid, continuation: CONTINUATION },
      base: { session: ALICE, expired_form: true },
    },
    { label: 'hostile', context: { mxid: HOSTILE, continuation: HOSTILE } },
  ],
}
