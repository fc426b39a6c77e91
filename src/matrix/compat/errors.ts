import { MatrixError } from '../../http/errors.ts'

/** The account is locked, and told so to somebody who proved to be its owner: they keep their keys (decision 8). */
export const userLocked = (): MatrixError =>
  new MatrixError('M_USER_LOCKED', 401, 'This account is locked.', { softLogout: true })

/** The account waits for an admin's approval (MSC3866); told to who knows its password. The code is the one of Synapse. */
export const awaitsApproval = (): MatrixError =>
  new MatrixError(
    'ORG.MATRIX.MSC3866_USER_AWAITING_APPROVAL',
    403,
    'This account waits until an administrator approves it.',
  )
