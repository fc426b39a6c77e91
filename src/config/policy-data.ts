import { createReport } from './report.ts'
import { checkPolicy } from './resolve/server.ts'
import type { Config } from './schema.ts'
import { validate } from './validate.ts'

/** `policy.data` that did not come from a file: checked as one that did. Problems are sentences with the path. */
export function readPolicyData(data: unknown): { data: Config['policy']['data']; problems: string[] } {
  const report = createReport(() => 'the policy data')
  const { raw } = validate({ policy: { data } }, report)
  checkPolicy(raw.policy, { report })
  return { data: raw.policy.data, problems: report.problems }
}
