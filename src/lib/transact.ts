import type { Sql, Tx } from '../../sql/connect.ts'

/**
 * Runs `fn` in one transaction. What it throws rolls back; an Error that it returns commits, and is then thrown
 * (a replayed code must end its session and still answer `invalid_grant`).
 */
export async function transact<T>(sql: Sql, fn: (tx: Tx) => Promise<T | Error>): Promise<Exclude<T, Error>> {
  // Boxed: the driver treats a returned list as queries to wait for.
  const { result } = (await sql.begin(async (tx) => ({ result: await fn(tx) }))) as {
    result: T | Error
  }
  if (result instanceof Error) throw result
  return result as Exclude<T, Error>
}
