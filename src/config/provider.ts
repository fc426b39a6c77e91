import type { Reading } from './reading.ts'
import { dotted, type Path, type Report } from './report.ts'
import { resolveUpstream } from './resolve/clients.ts'
import type { Config } from './schema.ts'
import { validate } from './validate.ts'

/** What is wrong with a provider, and where in it. */
export interface ProviderProblem {
  path: Path
  text: string
}

/** How many parts of a path lead to the provider: `upstream_oauth2.providers.0`. */
const BASE = 3

/**
 * A provider that did not come from a file: checked as one of `upstream_oauth2.providers[]`, defaults filled in. It can
 * name no files: whoever may call the admin API may not read those of the server.
 */
export async function readProvider(settings: Readonly<Record<string, unknown>>): Promise<{
  provider: Config['upstream_oauth2']['providers'][number] | undefined
  problems: ProviderProblem[]
}> {
  const problems: ProviderProblem[] = []
  const report: Report = {
    problems: [],
    warnings: [],
    problem: (path, text) => void problems.push({ path: path.slice(BASE), text }),
    warn: () => {},
  }
  const noFile = () => Promise.reject(Object.assign(new Error('no files here'), { code: 'EACCES' }))
  const reading: Reading = { report, readFile: noFile, readDir: noFile }
  const { raw } = validate({ upstream_oauth2: { providers: [settings] } }, report)
  if (problems.length > 0) return { provider: undefined, problems }
  const { providers } = await resolveUpstream(raw.upstream_oauth2, reading)
  return { provider: problems.length > 0 ? undefined : providers[0], problems }
}

/** A problem as a sentence that begins with the key. */
export const problemSentence = ({ path, text }: ProviderProblem): string =>
  `${path.length === 0 ? 'The provider' : dotted(path)} ${text.replaceAll('`', '')}.`
