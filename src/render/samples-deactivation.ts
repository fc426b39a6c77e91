import type { DeactivationContexts } from './contexts-deactivation.ts'
import { ALICE, CONTINUATION, HOSTILE, type Sample } from './sample-base.ts'

const DUE = '2026-12-08T07:58:12.000Z'

type Names = keyof DeactivationContexts | 'account_locked' | 'account_deactivated'

export const deactivationSamples: { [P in Names]: Sample<P>[] } = {
  account_locked: [
    { label: 'plain', context: { mxid: ALICE.mxid, continuation: CONTINUATION } },
    {
      label: 'to be deactivated',
      context: { mxid: ALICE.mxid, continuation: '', deactivation_at: '2026-12-08T07:58:12.000Z' },
    },
    { label: 'hostile', context: { mxid: HOSTILE, continuation: HOSTILE } },
  ],
  account_deactivated: [
    { label: 'plain', context: { mxid: ALICE.mxid, continuation: '' } },
    { label: 'hostile', context: { mxid: HOSTILE, continuation: HOSTILE } },
  ],
  deactivation_pending: [
    { label: 'with mail', context: { mxid: ALICE.mxid, due_at: DUE, mailed: true } },
    { label: 'hostile', context: { mxid: HOSTILE, due_at: DUE, mailed: false } },
  ],
  deactivation_undo: [
    { label: 'ask', context: { step: 'ask', ticket: 'abcdefgh', mxid: ALICE.mxid, due_at: DUE } },
    {
      label: 'hostile',
      context: {
        step: 'ask',
        ticket: HOSTILE,
        mxid: HOSTILE,
        due_at: DUE,
        form_error: { code: 'expired_form' },
      },
    },
    { label: 'done', context: { step: 'done', mxid: ALICE.mxid } },
    { label: 'gone', context: { step: 'gone' } },
  ],
}
