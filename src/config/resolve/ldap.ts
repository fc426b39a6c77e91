import { present, type Reading, secretText } from '../reading.ts'
import type { Path, Report } from '../report.ts'
import type { MutableConfig, RawConfig } from '../schema.ts'

type RawLdap = NonNullable<RawConfig['ldap']>

const LOOPBACK = /^(localhost|127\..*|\[::1\])$/
const PLACEHOLDER = /\{\{\s*([^{}]*?)\s*\}\}/g

/** `ldap`: the rules of the section, and its secrets read. */
export async function resolveLdap(
  raw: RawLdap,
  { passwordsEnabled, isRegistrationOpen }: { passwordsEnabled: boolean; isRegistrationOpen: boolean },
  reading: Reading,
): Promise<NonNullable<MutableConfig['ldap']>> {
  const { report } = reading
  const path: Path = ['ldap']
  if (!passwordsEnabled) report.problem(path, 'needs `passwords.enabled`: people type a password')
  if (raw.on_conflict !== 'fail' && isRegistrationOpen)
    report.warn(
      [...path, 'on_conflict'],
      `is \`${raw.on_conflict}\` while anyone can register: whoever takes the name of a colleague first shares the account with them`,
    )
  checkUrls(raw, path, report)
  checkWay(raw, path, report)
  const { bind_password_file: _, tls, ...rest } = raw
  const { ca_file: __, ...tlsRest } = tls
  const ca = await secretText(reading, tls, 'ca', [...path, 'tls'])
  const password = await secretText(reading, raw, 'bind_password', path)
  return {
    ...rest,
    tls: { ...tlsRest, ...present({ ca }) },
    ...present({ bind_password: password }),
  }
}

function checkUrls({ urls, tls }: RawLdap, path: Path, report: Report): void {
  for (const [index, text] of urls.entries()) {
    const at = [...path, 'urls', index]
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (!url || !/^ldaps?:$/.test(url.protocol) || url.hostname === '' || url.username !== '') {
      report.problem(at, 'must be like `ldaps://ldap.example.com` or `ldap://ldap.example.com:389`')
      continue
    }
    if (!/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '')
      report.problem(at, 'must end after the host and port: the base belongs into `search`')
    if (url.protocol === 'ldaps:' && tls.start_tls)
      report.problem(
        [...path, 'tls', 'start_tls'],
        'is for `ldap://`: `ldaps://` is encrypted from the start',
      )
    const open = url.protocol === 'ldap:' && !tls.start_tls && !LOOPBACK.test(url.hostname)
    if (open && !tls.allow_plaintext)
      report.problem(at, 'would send passwords in the clear: use `ldaps://`, or set `tls.start_tls`')
  }
}

function checkWay(raw: RawLdap, path: Path, report: Report): void {
  const { search, user_dn: dn, groups } = raw
  const hasPassword = raw.bind_password !== undefined || raw.bind_password_file !== undefined
  if ((search === undefined) === (dn === undefined))
    report.problem(path, 'needs exactly one of `search` and `user_dn`')
  if ((raw.bind_dn !== undefined) !== hasPassword)
    report.problem([...path, 'bind_dn'], 'and `bind_password` must be given together')
  if (dn !== undefined && raw.bind_dn !== undefined)
    report.problem([...path, 'bind_dn'], 'belongs to `search`: with `user_dn` people read their own entry')
  checkFilter(search?.filter, [...path, 'search', 'filter'], report)
  checkFilter(groups?.filter, [...path, 'groups', 'filter'], report)
  checkTemplate(search?.filter, 'username', [...path, 'search', 'filter'], report)
  checkTemplate(dn, 'username', [...path, 'user_dn'], report)
  checkTemplate(groups?.filter, 'dn', [...path, 'groups', 'filter'], report)
}

/** A filter in parentheses, each of which is closed (RFC 4515): inside a value they are written as `\\28` and `\\29`. */
function checkFilter(filter: string | undefined, path: Path, report: Report): void {
  if (filter === undefined) return
  let depth = 0
  const isClosed = [...filter].every((sign, index) => {
    depth += sign === '(' ? 1 : sign === ')' ? -1 : 0
    return depth > 0 || index === filter.length - 1
  })
  if (!isClosed || depth !== 0) report.problem(path, 'must be one filter in parentheses, all of them closed')
}

/** What is put into filters and names is put there literally, so only these few are known. */
function checkTemplate(
  template: string | undefined,
  name: 'username' | 'dn',
  path: Path,
  report: Report,
): void {
  if (template === undefined) return
  const names = [...template.matchAll(PLACEHOLDER)].map(([, inner = '']) => inner)
  const isKnown = (one: string) =>
    one === name || (name === 'dn' && /^user\.[A-Za-z][A-Za-z0-9-]*$/.test(one))
  if (names.length === 0 || !names.every(isKnown))
    report.problem(
      path,
      name === 'dn'
        ? 'must hold `{{ dn }}` or `{{ user.… }}`, and nothing else in braces'
        : 'must hold `{{ username }}`, and nothing else in braces',
    )
}
