import type { Config } from '../config/schema.ts'
import { enabledProviders } from '../identity/providers.ts'
import type { AccountArea, AccountSectionKey } from '../render/contexts-account.ts'

/** One entry of the navigation; `shown` says whether it is there under a configuration. */
interface Section {
  key: AccountSectionKey
  path: string
  shown?: (config: Config) => boolean
}

/** Whether people may change their password here. */
export const passwordChangeAllowed = ({ passwords, account }: Config): boolean =>
  passwords.enabled && account.password_change_allowed

/** Whether there is anything to link. */
const hasProviders = (config: Config): boolean => enabledProviders(config).length > 0

/** The navigation of the account area, in order. A new part: its row here, its key, text and icon. */
const SECTIONS: Section[] = [
  { key: 'overview', path: '' },
  { key: 'profile', path: 'profile' },
  { key: 'emails', path: 'emails' },
  { key: 'password', path: 'password/change', shown: passwordChangeAllowed },
  { key: 'sessions', path: 'sessions' },
  { key: 'apps', path: 'apps' },
  { key: 'linked', path: 'linked', shown: hasProviders },
  { key: 'tokens', path: 'tokens' },
  {
    key: 'plan',
    path: 'plan',
    shown: ({ experimental }) => experimental.plan_management_iframe_uri !== undefined,
  },
  { key: 'security', path: 'security' },
  { key: 'data', path: 'data' },
]

/** The parts that there are. */
export const accountSections = (config: Config): AccountArea['sections'] =>
  SECTIONS.filter(({ shown }) => shown?.(config) ?? true).map(({ key, path }) => ({ key, path }))
