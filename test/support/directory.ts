import type { ConfigInput } from '../../src/config/schema.ts'
import type { Browser, Page } from './browser.ts'
import { createHarness, type Harness, type HarnessOptions } from './harness.ts'
import { DIRECTORY_NAME, READER, type Slapd, SUFFIX } from './slapd.ts'

export const PEOPLE = `ou=people,${SUFFIX}`
export const GROUPS = `ou=groups,${SUFFIX}`

/** The password of everybody in the directory. */
export const DIRECTORY_PASSWORD = 'a password of the directory'

/** An entry of a person. */
export const person = (uid: string, more = ''): string =>
  `dn: uid=${uid},${PEOPLE}
objectClass: inetOrgPerson
uid: ${uid}
cn: ${uid}
sn: ${uid}
userPassword: ${DIRECTORY_PASSWORD}
${more}`.trimEnd()

const unit = (ou: string): string => `dn: ou=${ou},${SUFFIX}\nobjectClass: organizationalUnit\nou: ${ou}`

const group = (cn: string, ...members: string[]): string =>
  [`dn: cn=${cn},${GROUPS}`, 'objectClass: groupOfNames', `cn: ${cn}`]
    .concat(members.map((uid) => `member: uid=${uid},${PEOPLE}`))
    .join('\n')

/** Some people and groups, with `more` entries of people. */
export const company = (...more: string[]): string =>
  [
    unit('people'),
    unit('groups'),
    person('anna', 'displayName: Anna Harbour\nmail: anna@harbour.example\nmail: a.harbour@harbour.example'),
    person('Bruno', 'mail: bruno@harbour.example'),
    person('clara'),
    ...more,
    group('crew', 'anna', 'Bruno'),
    group('captains', 'anna'),
  ].join('\n\n')

type LdapInput = NonNullable<ConfigInput['ldap']>

/** The section that reaches a directory. */
export const ldapConfig = (
  { secure, ca }: Pick<Slapd, 'secure' | 'ca'>,
  more: LdapInput = {},
): LdapInput => ({
  urls: [secure],
  tls: { ca, server_name: DIRECTORY_NAME },
  ...READER,
  search: { base: PEOPLE, filter: '(&(objectClass=inetOrgPerson)(uid={{ username }}))' },
  groups: { base: GROUPS, filter: '(member={{ dn }})' },
  ...more,
})

/** A Latchkey whose passwords a directory knows. */
export const directoryHarness = (
  slapd: Pick<Slapd, 'secure' | 'ca'>,
  ldap: LdapInput = {},
  { config, ...options }: HarnessOptions = {},
): Promise<Harness> => createHarness({ ...options, config: { ...config, ldap: ldapConfig(slapd, ldap) } })

/** Sends the form of the sign-in page, with the password that the directory knows unless told otherwise. */
export const signInAs = async (
  browser: Browser,
  username: string,
  password = DIRECTORY_PASSWORD,
): Promise<Page> => (await browser.open('/login')).submit({ username, password }, { action: 'login' })
