import type { Terms } from '../../sql/terms.ts'
import type { Config } from '../config/schema.ts'

/** The terms that people must accept, if there are any. */
export const termsOf = ({ branding }: Pick<Config, 'branding'>): Terms | undefined =>
  branding.tos_uri === undefined ? undefined : { uri: branding.tos_uri, version: branding.tos_version ?? '' }
