import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isThere } from '../../lib/is-there.ts'
import { systemRandom } from '../../lib/random.ts'
import { codeOf } from '../../lib/thrown.ts'
import { CommandError, type Context, say } from '../context.ts'
import { newConfig } from '../generate.ts'
import { ask } from '../manage/read-password.ts'
import { CONFIG, filesOf, type PlannedFile } from './files.ts'
import { planOf, type Wishes } from './plan.ts'

export interface SetupFlags extends Partial<Omit<Wishes, 'issuerOnDomain'>> {
  issuerOnDomain?: boolean
  output: string
  force?: boolean
  yes?: boolean
}

/** `latchkey setup`: writes what a deployment needs into a folder, and says what to do with it. */
export default async function setup(this: Context, flags: SetupFlags): Promise<void> {
  const { output, force = false } = flags
  const plan = planOf(await wishesOf(this, flags))
  const earlier = force ? await readFile(join(output, CONFIG), 'utf8').catch(absent) : undefined
  const files = filesOf(plan, earlier ?? (await newConfig(plan.domain)), systemRandom)
  if (!force) await refuseExisting(output, files)
  await mkdir(output, { recursive: true, mode: 0o700 })
  for (const file of files) await write(join(output, file.name), file, force)
  say(this, `Wrote into ${output}: ${files.map(({ name }) => name).join(', ')}`)
  if (earlier !== undefined) say(this, `Secrets, keys and your own changes of ${CONFIG} were kept.`)
  say(this, `\n${files.find(({ name }) => name === 'NEXT-STEPS.md')?.text ?? ''}`)
}

const absent = (error: unknown): undefined => {
  if (codeOf(error) === 'ENOENT') return undefined
  throw error
}

/** What the flags say; the rest is asked for in a terminal, else the usual is taken. */
async function wishesOf(context: Context, flags: SetupFlags): Promise<Wishes> {
  const asks = context.stdin.isTTY === true && !flags.yes
  const wish = async (given: string | undefined, question: string, usual: string): Promise<string> => {
    if (given !== undefined) return given
    if (!asks) return usual
    const answer = await ask(context, `${question} [${usual}]: `, { hidden: false })
    return answer.trim() || usual
  }
  const domain =
    flags.domain ??
    (asks
      ? await ask(
          context,
          'Deployment domain, what stands after the colon in Matrix ids (it can never change): ',
          { hidden: false },
        )
      : undefined)
  if (domain === undefined)
    throw new CommandError('Name the deployment domain: latchkey setup --domain example.org')
  const trimmed = domain.trim()
  const homeserverUrl = await wish(
    flags.homeserverUrl,
    'Where clients reach the homeserver',
    `https://matrix.${trimmed}/`,
  )
  const url = await wish(flags.url, 'Where people reach Latchkey', `https://auth.${trimmed}/`)
  const homeserverEndpoint = await wish(
    flags.homeserverEndpoint,
    'Where Latchkey itself reaches Synapse',
    'http://localhost:8008/',
  )
  return {
    domain: trimmed,
    homeserverUrl,
    url,
    homeserverEndpoint,
    issuerOnDomain: flags.issuerOnDomain ?? false,
    listen: await wish(flags.listen, 'Where Latchkey listens, for the web server', 'localhost:8080'),
    database: flags.database,
  }
}

/** Whole or not at all, with the permissions of a new file, and never through a link that somebody else made. */
async function write(path: string, { text, secret }: PlannedFile, force: boolean): Promise<void> {
  const options = { mode: secret ? 0o600 : 0o644, flag: 'wx' }
  if (!force) return writeFile(path, text, options)
  const draft = `${path}.${process.pid}`
  try {
    await writeFile(draft, text, options)
    await rename(draft, path)
  } finally {
    await rm(draft, { force: true })
  }
}

/** Nothing is written over: the secrets of an earlier run may be in use. @throws CommandError */
async function refuseExisting(output: string, files: readonly PlannedFile[]): Promise<void> {
  const found: string[] = []
  for (const { name } of files) if (await isThere(join(output, name))) found.push(name)
  if (found.length === 0) return
  throw new CommandError(
    `${output} has ${found.join(', ')} already, and nothing was written; name another folder with --output, or add --force, which keeps the secrets of ${CONFIG}.`,
  )
}
