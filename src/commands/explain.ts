import { isOutage } from '../../sql/outage.ts'
import { codeOf, messageOf } from '../lib/thrown.ts'

/**
 * Errors whose message is a sentence for the operator. By name, so that this file, which every command loads, does not
 * load the server and the database with the classes.
 */
const SENTENCES = new Set([
  'CommandError',
  'ConfigError',
  'KeyError',
  'ClusterError',
  'MigrationError',
  'ListenError',
  'HomeserverError',
  'OverlayError',
  'PolicyModuleError',
  'PolicyDataError',
])

/** What to print for whatever a command threw: one sentence, one a line for several problems of a configuration. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return `Something unexpected happened: ${String(error)}`
  if (error.name === 'ConfigError')
    return (error as Error & { problems: readonly string[] }).problems.join('\n')
  if (SENTENCES.has(error.name)) return error.message
  if (isOutage(error))
    return `The database stopped answering (${reasonOf(error)}); check that PostgreSQL runs, and try again.`
  const expected = ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'ENOENT', 'ENOTDIR', 'EISDIR']
  if (expected.includes(codeOf(error) ?? '')) return `${error.message}.`
  // A mistake of ours: the stack is what a report needs.
  return `Something unexpected happened, please report it:\n${error.stack ?? error.message}`
}

/** A few words on why something failed: the code where there is one. */
export const reasonOf = (error: unknown): string => codeOf(error) || messageOf(error)
