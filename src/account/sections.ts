import type { AccountArea, AccountSectionKey } from '../render/contexts-account.ts'

/** The navigation of the account area, in order. A new part: its row here, its key, text and icon. */
const SECTIONS: { key: AccountSectionKey; path: string }[] = [
  { key: 'overview', path: '' },
  { key: 'sessions', path: 'sessions' },
  { key: 'apps', path: 'apps' },
  { key: 'tokens', path: 'tokens' },
]

/** The parts that there are. */
export const accountSections = (): AccountArea['sections'] => SECTIONS
