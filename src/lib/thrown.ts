/** What a thrown value says of itself: anything may be thrown, and errors of the system and the database have a code. */

/** Its code (`ENOENT`, an SQLSTATE); undefined when it has none. */
export function codeOf(thrown: unknown): string | undefined {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** Its message; the value itself as text when it is no error. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown)
