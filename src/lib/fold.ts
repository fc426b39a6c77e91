/**
 * The form in which usernames and email addresses are compared: NFKC, lower case. Folded in code and stored, because
 * the database's `lower()` depends on the locale of the cluster.
 */
export const fold = (text: string): string => text.normalize('NFKC').toLowerCase()
