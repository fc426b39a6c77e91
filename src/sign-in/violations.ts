import type { Violation } from '../policy/violation.ts'
import type { PolicyViolationPage } from '../render/contexts.ts'

/** What the page says about a violation: our text where we have one in the person's language, else the rule's own. */
export const violationLine = ({
  code = 'other',
  msg,
}: Violation): PolicyViolationPage['violations'][number] =>
  code === 'too-many-sessions' ? { code } : { code, message: msg }
