import { LineCounter, parseDocument } from 'yaml'
import { codeOf } from '../lib/thrown.ts'
import { addMasVariables, applyEnvironment } from './environment.ts'
import { type LineOf, lastLineOf, linesOf } from './lines.ts'
import { emptyLayers, mergeDocument, originOf } from './merge.ts'
import { addProxyVariables } from './proxy-variables.ts'
import type { Files, Reading } from './reading.ts'
import { reasonOf } from './reading.ts'
import { ConfigError, createReport, type Path, type Report } from './report.ts'
import { resolveClients, resolveUpstream } from './resolve/clients.ts'
import { resolveHttp } from './resolve/http.ts'
import { resolveLdap } from './resolve/ldap.ts'
import { resolvePasswords, resolveSecrets } from './resolve/secrets.ts'
import {
  checkCaptcha,
  checkExperimental,
  checkPolicy,
  resolveDatabase,
  resolveEmail,
  resolveMatrix,
} from './resolve/server.ts'
import type { Config, ConfigInput, MutableConfig } from './schema.ts'
import { ownModule } from './shipped.ts'
import { DEAD, UNBUILT } from './unbuilt.ts'
import { isMapping, validate } from './validate.ts'

/**
 * The configuration in `input` (what a YAML file says, parsed): checked, completed with the defaults, secret files
 * read. Throws ConfigError with every problem found. Touches nothing but the two functions given.
 */
export async function parseConfig(
  input: unknown,
  options: Files & { source: string },
): Promise<{ config: Config; warnings: string[] }> {
  const report = createReport(() => options.source)
  return resolve(input, { readFile: options.readFile, readDir: options.readDir, report })
}

/**
 * Finds the files, merges them, lays the environment over them and gives the configuration. Files: `files`, else
 * LATCHKEY_CONFIG, else MAS_CONFIG (colon-separated; set and empty: none, all from variables), else `config.yaml`, else
 * `data/config.yaml`. `input` is what they say together, before defaults and secret files. Throws ConfigError; its `reason` is `missing` when there is no file.
 */
export async function loadConfig(
  options: Files & { files?: readonly string[]; env: Record<string, string | undefined> },
): Promise<{
  config: Config
  warnings: string[]
  files: string[]
  input: Readonly<Record<string, unknown>>
}> {
  const { env, readFile, readDir } = options
  const texts = await readFiles(options)
  const layers = emptyLayers()
  const problems: string[] = []
  for (const { file, text } of texts) {
    const parsed = parseYaml(text, file)
    if (typeof parsed === 'string') problems.push(parsed)
    else mergeDocument(layers, parsed.value, { name: file, lineOf: parsed.lineOf })
  }
  if (problems.length > 0) throw new ConfigError(problems)

  const files = texts.map(({ file }) => file)
  const everything = files.join(', ') || 'the environment'
  const report = createReport((path) => originOf(layers, path, everything))
  const ignored = addMasVariables(layers, env)
  addLibpqVariables(layers.tree, env)
  await applyEnvironment(layers, env, readFile, report)
  report.warnings.push(...addProxyVariables(layers.tree, env))
  if (ignored.length > 0) {
    report.warnings.push(
      `${ignored.join(', ')}: without effect. Variables of MAS say what no file says, as there; use LATCHKEY_SECTION__KEY.`,
    )
  }
  return { ...(await resolve(layers.tree, { readFile, readDir, report })), files, input: layers.tree }
}

interface SourceText {
  file: string
  text: string
}

async function readFiles(options: Parameters<typeof loadConfig>[0]): Promise<SourceText[]> {
  const { env } = options
  const variable = env.LATCHKEY_CONFIG ?? env.MAS_CONFIG
  const named = options.files ?? variable?.split(':').filter((file) => file !== '')
  const texts: SourceText[] = []
  const problems: string[] = []
  for (const file of named ?? ['config.yaml', 'data/config.yaml']) {
    try {
      texts.push({ file, text: new TextDecoder().decode(await options.readFile(file)) })
      if (named === undefined) return texts
    } catch (error) {
      const reason = reasonOf(error)
      if (named !== undefined || codeOf(error) !== 'ENOENT') {
        problems.push(`${file}: this configuration file can't be read (${reason}).`)
      }
    }
  }
  if (problems.length > 0) throw new ConfigError(problems, named === undefined ? 'invalid' : 'missing')
  if (named === undefined) {
    throw new ConfigError(
      [
        'There is no configuration: neither config.yaml nor data/config.yaml exists here. Name it with --config.',
      ],
      'missing',
    )
  }
  return texts
}

/** The mapping in a YAML text, or a sentence on what is wrong with it. */
function parseYaml(text: string, file: string): { value: Record<string, unknown>; lineOf: LineOf } | string {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter })
  const error = document.errors[0]
  // The first line only: the library goes on with an excerpt of the file, which may hold a secret.
  if (error !== undefined) {
    const begun = error.code === 'MISSING_CHAR' ? lastLineOf(document, lineCounter) : undefined
    const where = begun === undefined ? '' : `; what is not closed begins on line ${begun}`
    return `${file}: ${error.message.split('\n')[0]?.replace(/:$/, '')}${where}.`
  }
  try {
    const value: unknown = document.toJS() ?? {}
    return isMapping(value)
      ? { value, lineOf: linesOf(document, lineCounter) }
      : `${file}: must be a mapping of sections such as \`http\` and \`matrix\`.`
  } catch (cause) {
    return `${file}: ${cause instanceof Error ? cause.message : 'is not usable YAML'}.`
  }
}

/** libpq's variables fill the gaps of a `database` section without `uri`, as in MAS. */
function addLibpqVariables(tree: Record<string, unknown>, env: Record<string, string | undefined>): void {
  const { database } = tree
  if (!isMapping(database) || typeof database.uri === 'string' || env.LATCHKEY_DATABASE__URI) return
  const port = Number(env.PGPORT)
  const values = {
    host: database.socket === undefined ? env.PGHOST : undefined,
    port: Number.isInteger(port) && port > 0 ? port : undefined,
    username: env.PGUSER,
    password: database.password_file === undefined ? env.PGPASSWORD : undefined,
    database: env.PGDATABASE,
    ssl_mode: env.PGSSLMODE,
  }
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== '') database[key] ??= value
  }
}

async function resolve(input: unknown, reading: Reading): Promise<{ config: Config; warnings: string[] }> {
  const { report } = reading
  const { rest, policyData } = withoutModuleData(input)
  const { raw, given, broken } = validate(rest, report)
  // A broken section was replaced by its defaults: what its rules would say about those is of no use.
  const quiet: Reading = { ...reading, report: createReport(() => '') }
  const of = (section: string): Reading => (broken.has(section) ? quiet : reading)

  checkCaptcha(raw.captcha, of('captcha'))
  checkExperimental(raw.experimental, of('experimental'))
  checkPolicy(raw.policy, of('policy'))
  const { database, ldap, ...sections } = raw
  const around = {
    passwordsEnabled: raw.passwords.enabled,
    isRegistrationOpen: raw.account.password_registration_enabled,
  }
  const config: MutableConfig = {
    ...sections,
    policy: { ...raw.policy, ...(policyData !== undefined && { data: policyData }) },
    http: await resolveHttp(raw.http, isMapping(given.http) ? given.http.public_base : undefined, of('http')),
    matrix: await resolveMatrix(raw.matrix, of('matrix')),
    secrets: await resolveSecrets(raw.secrets, of('secrets')),
    clients: await resolveClients(raw.clients, of('clients')),
    passwords: await resolvePasswords(raw.passwords, of('passwords')),
    email: await resolveEmail(raw.email, of('email')),
    upstream_oauth2: await resolveUpstream(raw.upstream_oauth2, of('upstream_oauth2')),
    ...(database === undefined ? {} : { database: await resolveDatabase(database, of('database')) }),
    ...(ldap && { ldap: await resolveLdap(ldap, around, of('ldap')) }),
  }
  if (report.problems.length > 0) throw new ConfigError(report.problems.map(asSentence))
  for (const { path, applies, sentence } of [...UNBUILT, ...DEAD]) {
    // Valid by now, and without defaults: only what the operator wrote is worth a word.
    if (applies(given as ConfigInput)) report.warnings.push(`${path}: ${sentence}`)
  }
  warnOpenRegistration(config, report)
  warnWithoutMail(config, report)
  return { config, warnings: report.warnings.map(asSentence) }
}

/** With a module of the operator's own `policy.data` is its business alone: any mapping, which we do not look into. */
function withoutModuleData(input: unknown): { rest: unknown; policyData?: object } {
  const policy = isMapping(input) ? input.policy : undefined
  if (!isMapping(input) || !isMapping(policy) || !isMapping(policy.data)) return { rest: input }
  const { data, ...others } = policy
  const path = others.wasm_module
  if (typeof path !== 'string' || ownModule({ wasm_module: path }) === undefined) return { rest: input }
  return { rest: { ...input, policy: others }, policyData: data }
}

const asSentence = (line: string): string => (/[.!?]$/.test(line) ? line : `${line}.`)

/** What is on and needs mail, while no mail leaves, or none that arrives. */
function warnWithoutMail({ account, passwords, email }: MutableConfig, report: Report): void {
  if (email.transport !== 'blackhole' && /@localhost>?$/.test(email.from))
    report.warn(
      ['email', 'from'],
      'is an address that nobody can answer to; many mail servers refuse such mail',
    )
  if (email.transport !== 'blackhole' || !passwords.enabled) return
  if (account.password_registration_enabled && account.password_registration_email_required)
    report.warn(
      ['account', 'password_registration_email_required'],
      'no mail leaves (`email.transport` is `blackhole`), so nobody can prove an address and registration stays ' +
        'closed; set `email`, or this to false to let people register without an address',
    )
  if (account.password_recovery_enabled)
    report.warn(
      ['account', 'password_recovery_enabled'],
      'no mail leaves (`email.transport` is `blackhole`), so nobody gets a link; set `email`',
    )
}

/** Anyone on the internet can make accounts: said at every start. */
function warnOpenRegistration(config: MutableConfig, report: Report): void {
  const { account, passwords, captcha, http } = config
  const path: Path = ['account', 'password_registration_enabled']
  const guarded =
    account.password_registration_email_required ||
    account.password_registration_token_required ||
    account.registration_token_required ||
    account.registration_requires_approval ||
    captcha.service !== undefined
  if (!passwords.enabled || !account.password_registration_enabled || guarded) return
  if (/^(localhost|127\..*|\[::1\])$/.test(new URL(http.public_base).hostname)) return
  report.warn(
    path,
    'anyone who reaches this server can register, without an invitation, an email address or a CAPTCHA',
  )
}
