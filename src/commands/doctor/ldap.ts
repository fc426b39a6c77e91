import { directoryFaults } from '../../identity/directory-claims.ts'
import { createDirectory } from '../../ldap/directory.ts'
import { createClaimTemplates } from '../../render/claim-templates.ts'
import { type Finding, findingsOf } from './finding.ts'
import type { Site } from './site.ts'

const SILENT = { info: () => {}, warn: () => {} }

/** The directory: each address is reached, its certificate checked, the reader signed in, and somebody looked for. */
export async function checkDirectory({ config, clock }: Site): Promise<Finding[]> {
  const { ldap } = config
  if (!ldap) return []
  const faults = directoryFaults(createClaimTemplates(), config).map((text) =>
    findingsOf('ldap').failed(text),
  )
  const directory = createDirectory(ldap, { clock, log: SILENT })
  const checked = await directory.check()
  return [
    ...checked.map(({ url, problem }) => {
      const { ok, failed } = findingsOf('ldap', url)
      if (!problem) return ok('The directory answers. Whether a person gets in: latchkey ldap try USERNAME')
      return failed(
        problem.problem === 'away'
          ? `The directory cannot be reached: ${problem.message}.`
          : `The directory answers, but not to what we ask: ${problem.message}.`,
        { mend: `Correct ${mendOf(problem.problem)} in the section ldap.` },
      )
    }),
    ...faults,
  ]
}

const mendOf = (problem: 'away' | 'misconfigured'): string =>
  problem === 'away' ? 'urls and tls' : 'bind_dn, bind_password, search and groups'
