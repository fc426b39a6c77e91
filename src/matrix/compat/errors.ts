import { MatrixError } from '../../http/errors.ts'

/** The account is locked, and told so to somebody who proved to be its owner: they keep their keys (decision 8). */
export const userLocked = (): MatrixError =>
  new MatrixError('M_USER_LOCKED', 401, 'This account is locked.', { softLogout: true })
