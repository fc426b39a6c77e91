import { readFile } from 'node:fs/promises'
import { parseDocument } from 'yaml'
import { diskFiles } from '../config/files.ts'
import { fromSynapse } from '../config/from-synapse.ts'
import { generateConfig } from '../config/generate.ts'
import { parseConfig } from '../config/load.ts'
import { ConfigError } from '../config/report.ts'
import { generateSigningKeys } from '../crypto/keystore.ts'
import { systemClock } from '../lib/clock.ts'
import { systemRandom } from '../lib/random.ts'
import { newId, ulidFromUuid } from '../lib/ulid.ts'
import { CommandError, type Context, note, say } from './context.ts'
import { reasonOf } from './explain.ts'
import { writeSecretFile } from './write-secret-file.ts'

/** The text of a new configuration. */
export async function newConfig(homeserver: string | undefined): Promise<string> {
  const keys = await generateSigningKeys()
  return generateConfig({
    random: systemRandom,
    signingKeyPem: keys.map(({ pem }) => pem),
    ...(homeserver !== undefined && { homeserver }),
  })
}

/** `latchkey config generate`; with Synapse's configuration it takes over what that says about accounts and sign-in. */
export default async function generate(
  this: Context,
  flags: { output?: string; homeserver?: string; synapseConfig?: readonly string[] },
): Promise<void> {
  const { synapseConfig: files = [] } = flags
  const text = files.length === 0 ? await newConfig(flags.homeserver) : await withSynapse(this, flags, files)
  if (flags.output === undefined) return void this.process.stdout.write(text)
  await writeSecretFile(flags.output, text)
  say(this, `Wrote ${flags.output}. Only you can read it; start with: latchkey server -c ${flags.output}`)
}

/** What could not be taken over is said on standard error: the other one may be the configuration. */
async function withSynapse(
  context: Context,
  flags: { homeserver?: string },
  files: readonly string[],
): Promise<string> {
  const read: Record<string, unknown>[] = []
  for (const file of files) read.push(await readYaml(file))
  const taken = take(read, files)
  const named = taken.values.find(([path]) => path.join('.') === 'matrix.homeserver')?.[1]
  if (flags.homeserver !== undefined && flags.homeserver !== named)
    throw new CommandError(
      `server_name in ${files.join(', ')} is ${String(named)}, and --homeserver differs.`,
    )
  const document = parseDocument(await newConfig(String(named)))
  for (const [path, value] of taken.values)
    if (value === undefined) document.deleteIn(path)
    else document.setIn(path, document.createNode(value))
  const text = document.toString({ lineWidth: 0 })
  for (const sentence of taken.notes) note(context, `Not taken over: ${sentence}.`)
  for (const problem of await problemsOf(document.toJS())) note(context, `To be mended: ${problem}`)
  return text
}

function take(read: Record<string, unknown>[], files: readonly string[]) {
  try {
    return fromSynapse(read, () => ulidFromUuid(newId(systemClock.now(), systemRandom)))
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new CommandError(`${files.join(', ')}: ${cause.message}; is this Synapse's homeserver.yaml?`, {
      cause,
    })
  }
}

async function readYaml(file: string): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new CommandError(`${file} can't be read (${reasonOf(cause)}).`, { cause })
  }
  // Never with an excerpt: the file holds secrets.
  const document = parseDocument(text)
  const value: unknown = document.errors.length > 0 ? undefined : document.toJS()
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new CommandError(`${file} is not a YAML file with sections.`)
}

/** What is wrong with what came out, such as a provider that lacks a secret. */
async function problemsOf(input: unknown): Promise<readonly string[]> {
  try {
    await parseConfig(input, { ...diskFiles, source: 'the new configuration' })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}
