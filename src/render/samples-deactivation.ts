import type { DeactivationContexts } from './contexts-deactivation.ts'
import { ALICE, HOSTILE, type Sample } from './sample-base.ts'

const DUE = '2026-12-08T07:58:12.000Z'

export const deactivationSamples: { [P in keyof DeactivationContexts]: Sample<P>[] } = {
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
