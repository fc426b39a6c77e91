import { codeOf } from '../src/lib/thrown.ts'

/** What the driver and the socket say when the server can't be reached, or the connection was lost. */
const CONNECTION_CODES = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'CONNECT_TIMEOUT',
  'QUERY_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'EMFILE',
  'ENFILE',
])

/**
 * SQLSTATE classes and codes (PostgreSQL manual, appendix A) that a later try may not meet: connection (08), access
 * refused at connecting (28, 3D), resources (53), system errors (58), shutdown and cancel (57), read-only after a
 * failover (25006), deadlock and serialization (40), lock timeout (55P03).
 */
const SQLSTATE = /^(?:08|28|3D|53|58)[0-9A-Z]{3}$|^57(?:014|P0[1-5])$|^25006$|^40(?:001|P01)$|^55P03$/

/** What a certificate is refused with (Node's names): the server is replaced, or its new certificate comes later. */
export const CERTIFICATE_CODE = /CERT|^UNABLE_TO_|^ERR_TLS_/

/** Whether an error means that the database is not reachable, or not usable just now: the answer is 503, not 500. */
export function isOutage(error: unknown): boolean {
  for (let seen = error, depth = 0; seen instanceof Error && depth < 5; seen = seen.cause, depth++) {
    if (seen instanceof AggregateError && seen.errors.some((inner) => inner !== seen && isOutage(inner)))
      return true
    const code = codeOf(seen)
    if (code === undefined) continue
    if (CONNECTION_CODES.has(code) || SQLSTATE.test(code) || CERTIFICATE_CODE.test(code)) return true
    // A missing Unix socket.
    if (code === 'ENOENT' && 'syscall' in seen && seen.syscall === 'connect') return true
  }
  return false
}
