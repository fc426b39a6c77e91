import type { Browser, Page } from './browser.ts'
import type { Harness } from './harness.ts'
import { API_SCOPE, deviceScope, registerClient, type TokenBody } from './oauth.ts'

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'
export const DEVICE_SCOPE = `openid ${API_SCOPE} ${deviceScope('TELEVISION')}`

/** Metadata of an app on a device without a browser. */
export const DEVICE_CLIENT = {
  client_name: 'Test Television',
  client_uri: 'https://tv.example.com/',
  grant_types: [DEVICE_GRANT, 'refresh_token'],
  token_endpoint_auth_method: 'none',
  application_type: 'native',
}

export interface DeviceAuthorization {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete?: string
  expires_in: number
  interval: number
}

export const registerDeviceClient = async (harness: Harness, metadata: object = {}): Promise<string> =>
  (await registerClient(harness, { ...DEVICE_CLIENT, ...metadata })).client_id

/** A device asks for its codes. */
export async function requestDevice(
  harness: Harness,
  clientId: string,
  fields: Record<string, string> = { scope: DEVICE_SCOPE },
  headers: Record<string, string> = {},
): Promise<DeviceAuthorization> {
  const response = await harness.form('/oauth2/device', { client_id: clientId, ...fields }, headers)
  if (response.status !== 200) throw new Error(`device: ${response.status} ${await response.text()}`)
  return (await response.json()) as DeviceAuthorization
}

/** A device asks whether its person has answered. */
export async function poll(
  harness: Pick<Harness, 'form'>,
  clientId: string,
  deviceCode: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Partial<TokenBody> & { error?: string } }> {
  const response = await harness.form(
    '/oauth2/token',
    { grant_type: DEVICE_GRANT, client_id: clientId, device_code: deviceCode },
    headers,
  )
  return { status: response.status, body: await response.json() }
}

/** Types a code in; where that leads. */
export const enterCode = async (browser: Browser, code: string): Promise<Page> =>
  (await browser.open('/link')).submit({ code }, { action: '/link' })

/** Answers on the page of a device. */
export const answer = (
  page: Page,
  action: 'consent' | 'reject',
  confirm = action === 'consent',
): Promise<Page> =>
  page.submit(confirm ? { confirm_device: '1' } : {}, { action: '/device/', button: ['action', action] })

/** Types the code of a request in and lets the device in. */
export async function approve(browser: Browser, code: string): Promise<Page> {
  const done = await answer(await enterCode(browser, code), 'consent')
  if (!done.text.includes('The device is let in'))
    throw new Error(`not approved: ${done.text.slice(0, 2000)}`)
  return done
}
