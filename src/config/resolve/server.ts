import { parseNetwork } from '../../lib/ip.ts'
import { parseRegex } from '../../lib/regex.ts'
import { present, type Reading, secretText } from '../reading.ts'
import type { MutableConfig, RawConfig } from '../schema.ts'

/** `matrix`: the secret read; `synapse_modern` becomes `synapse`. */
export async function resolveMatrix(
  raw: RawConfig['matrix'],
  reading: Reading,
): Promise<MutableConfig['matrix']> {
  const { secret_file: _, ...rest } = raw
  const secret = await secretText(reading, raw, 'secret', ['matrix'])
  if (raw.secret === undefined && raw.secret_file === undefined) {
    reading.report.problem(
      ['matrix', 'secret'],
      'is missing: give the secret that the homeserver has too, or `secret_file`',
    )
  }
  if (!/^(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]+)(:\d{1,5})?$/.test(raw.homeserver)) {
    reading.report.problem(
      ['matrix', 'homeserver'],
      'must be a server name like `example.org`, without a scheme and without a path',
    )
  }
  return {
    ...rest,
    kind: raw.kind === 'synapse_modern' ? 'synapse' : raw.kind,
    secret: secret ?? '',
  }
}

/** `database`: PEM files and the password read; `uri` and the split keys exclude each other. */
export async function resolveDatabase(
  raw: NonNullable<RawConfig['database']>,
  reading: Reading,
): Promise<NonNullable<MutableConfig['database']>> {
  const { report } = reading
  const path = ['database']
  const { password_file: _, ssl_ca_file: __, ssl_certificate_file: ___, ssl_key_file: ____, ...rest } = raw
  const split = ['host', 'port', 'socket', 'username', 'password', 'password_file', 'database'] as const
  const used = split.filter((key) => raw[key] !== undefined)
  if (raw.uri !== undefined && used.length > 0) {
    report.problem(
      [...path, 'uri'],
      `and ${used.map((key) => `\`${key}\``).join(', ')} are both given: keep one or the other`,
    )
  }
  for (const key of ['uri', 'direct_uri'] as const) {
    if (raw[key] !== undefined && !/^postgres(ql)?:\/\//.test(raw[key])) {
      report.problem([...path, key], 'must start with `postgresql://`')
    }
  }
  if (raw.host !== undefined && raw.socket !== undefined) {
    report.problem([...path, 'socket'], 'and `host` are both given: keep one of them')
  }
  if (raw.min_connections > raw.max_connections) {
    report.problem([...path, 'min_connections'], 'must not be above `max_connections`')
  }
  const certificate = await secretText(reading, raw, 'ssl_certificate', path)
  const key = await secretText(reading, raw, 'ssl_key', path)
  const hasCertificate = raw.ssl_certificate !== undefined || raw.ssl_certificate_file !== undefined
  if (hasCertificate !== (raw.ssl_key !== undefined || raw.ssl_key_file !== undefined)) {
    report.problem([...path, 'ssl_certificate'], 'and `ssl_key` must be given together')
  }
  if (raw.pooler === 'transaction' && raw.direct_uri === undefined) {
    report.warn(
      [...path, 'direct_uri'],
      'is missing: migrations and notifications need a connection that bypasses the pooler',
    )
  }
  return {
    ...rest,
    ...present({
      password: await secretText(reading, raw, 'password', path),
      ssl_ca: await secretText(reading, raw, 'ssl_ca', path),
      ssl_certificate: certificate,
      ssl_key: key,
    }),
  }
}

const MAILBOX = /^(?:"(?:[^"\\]|\\.)*"\s*|[^<>@"]*)<[^\s<>@]+@[^\s<>@]+>$|^[^\s<>@]+@[^\s<>@]+$/

/** `email`: the rules of each transport, and the password read. */
export async function resolveEmail(
  raw: RawConfig['email'],
  reading: Reading,
): Promise<MutableConfig['email']> {
  const { report } = reading
  const path = ['email']
  const { password_file: _, ...rest } = raw
  const password = await secretText(reading, raw, 'password', path)
  const hasPassword = raw.password !== undefined || raw.password_file !== undefined
  if (raw.transport === 'smtp') {
    for (const key of ['mode', 'hostname'] as const) {
      if (raw[key] === undefined) report.problem([...path, key], 'is missing: the transport `smtp` needs it')
    }
    if (raw.command !== undefined) report.problem([...path, 'command'], 'belongs to `sendmail` only')
    if ((raw.username !== undefined) !== hasPassword) {
      report.problem([...path, 'username'], 'and `password` must be given together')
    }
  }
  if (raw.transport === 'sendmail') {
    for (const key of ['mode', 'hostname', 'port', 'username', 'password', 'password_file'] as const) {
      if (raw[key] !== undefined) report.problem([...path, key], 'belongs to `smtp` only')
    }
  }
  if (raw.transport !== 'blackhole') {
    for (const key of ['from', 'reply_to'] as const) {
      if (!MAILBOX.test(raw[key])) {
        report.problem([...path, key], 'must be a mail address, like `Name <name@example.org>`')
      }
    }
  }
  const command = raw.command ?? (raw.transport === 'sendmail' ? 'sendmail' : undefined)
  return { ...rest, ...present({ password, command }) }
}

/** `captcha`: both keys for the services of others, none for our own. */
export function checkCaptcha(raw: RawConfig['captcha'], { report }: Reading): void {
  if (raw.service === undefined) return
  for (const key of ['site_key', 'secret_key'] as const) {
    if (raw.service === 'altcha') {
      if (raw[key] !== undefined)
        report.problem(['captcha', key], 'belongs to the services of others; remove it')
    } else if (raw[key] === undefined) report.problem(['captcha', key], `is missing: ${raw.service} needs it`)
  }
}

/** `experimental.session_limit`: the limits fit each other. */
export function checkExperimental(raw: RawConfig['experimental'], { report }: Reading): void {
  const limit = raw.session_limit
  const path = ['experimental', 'session_limit']
  if (limit === undefined) return
  if (limit.hard_limit < limit.soft_limit) {
    report.problem([...path, 'hard_limit'], 'must not be below `soft_limit`')
  }
  if (limit.dangerous_hard_limit_eviction && limit.hard_limit < 2) {
    report.problem([...path, 'hard_limit'], 'must be at least 2 with `dangerous_hard_limit_eviction`')
  }
}

/** `policy.data`: regular expressions and networks that can be used. */
export function checkPolicy(raw: RawConfig['policy'], { report }: Pick<Reading, 'report'>): void {
  const { registration, emails, requester } = raw.data
  for (const [index, network] of (requester?.banned_ips ?? []).entries()) {
    if (parseNetwork(network) !== undefined) continue
    report.problem(
      ['policy', 'data', 'requester', 'banned_ips', index],
      'must be an address or a network like `203.0.113.0/24`',
    )
  }
  const groups = {
    'registration.allowed_usernames': registration?.allowed_usernames,
    'registration.banned_usernames': registration?.banned_usernames,
    'emails.allowed_addresses': emails?.allowed_addresses,
    'emails.banned_addresses': emails?.banned_addresses,
    'requester.banned_user_agents': requester?.banned_user_agents,
  }
  for (const [name, constraints] of Object.entries(groups)) {
    for (const [index, source] of (constraints?.regexes ?? []).entries()) {
      if (parseRegex(source)) continue
      report.problem(
        ['policy', 'data', ...name.split('.'), 'regexes', index],
        'is not a regular expression that can be used',
      )
    }
  }
}
