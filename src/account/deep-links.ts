/** What a link of a client may ask the account area for (MSC4191). */
export type AccountAction =
  | 'profile'
  | 'devices_list'
  | 'device_view'
  | 'device_delete'
  | 'cross_signing_reset'
  | 'account_deactivate'
  | 'plan_management'

/** Every spelling of an action: the stable ones, and those that older clients send (reference protocol section 11). */
const SPELLINGS: Record<string, AccountAction> = {
  'org.matrix.profile': 'profile',
  profile: 'profile',
  'org.matrix.devices_list': 'devices_list',
  'org.matrix.sessions_list': 'devices_list',
  sessions_list: 'devices_list',
  'org.matrix.device_view': 'device_view',
  'org.matrix.session_view': 'device_view',
  session_view: 'device_view',
  'org.matrix.device_delete': 'device_delete',
  'org.matrix.session_end': 'device_delete',
  session_end: 'device_delete',
  'org.matrix.cross_signing_reset': 'cross_signing_reset',
  'org.matrix.account_deactivate': 'account_deactivate',
  'org.matrix.plan_management': 'plan_management',
}

/** The action that a link names; undefined for none, and for one that there is no page for. */
export const accountAction = (text: string | undefined): AccountAction | undefined =>
  text !== undefined && Object.hasOwn(SPELLINGS, text) ? SPELLINGS[text] : undefined
