import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort } from '../../src/commands/demo/ports.ts'
import { selfSigned } from './certificate.ts'

/** Debian's slapd is not on everybody's path. */
const SEARCH = `${process.env.PATH ?? ''}:/usr/sbin:/usr/lib/openldap`

/** The name in the directory's certificate. */
export const DIRECTORY_NAME = 'directory.test'
export const SUFFIX = 'dc=example,dc=test'
/** Who may look people up. */
export const READER = { bind_dn: `cn=latchkey,${SUFFIX}`, bind_password: 'the password of the reader' }
const ROOT = { dn: `cn=admin,${SUFFIX}`, password: 'the password of the root' }

/** A real OpenLDAP on loopback, with a few people and groups. */
export interface Slapd {
  /** `ldap://…` and `ldaps://…`. */
  plain: string
  secure: string
  /** The certificate of who issued its own, in PEM: itself. */
  ca: string
  /** Changes it, as `ldapmodify` does: LDIF with `changetype`. */
  modify(ldif: string): Promise<void>
  /** Stops it, keeping what it holds, and starts it again on the same ports. */
  pause(): Promise<void>
  resume(): Promise<void>
  close(): Promise<void>
}

/** Whether it is installed. A skipped test says which package it lacks. */
export function hasSlapd(): boolean {
  if (['slapd', 'slapadd', 'ldapmodify'].every((name) => Bun.which(name, { PATH: SEARCH }))) return true
  console.warn('SKIPPED: no slapd on this machine; install it: apt-get install slapd ldap-utils')
  return false
}

/**
 * Starts one with the entries of `ldif` below `SUFFIX`, and the reader. Its certificate is good for `days`; where they are
 * negative, it ended so many days ago.
 */
export async function startSlapd(ldif: string, days = 1): Promise<Slapd> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-slapd-'))
  await mkdir(join(folder, 'db'))
  const { cert, key } = await selfSigned(DIRECTORY_NAME, days)
  await Bun.write(join(folder, 'cert.pem'), cert)
  await Bun.write(join(folder, 'key.pem'), key)
  await Bun.write(join(folder, 'slapd.conf'), settings(folder))
  await Bun.write(join(folder, 'seed.ldif'), `${seed()}\n\n${ldif}\n`)
  const conf = join(folder, 'slapd.conf')
  await run('slapadd', '-q', '-f', conf, '-l', join(folder, 'seed.ldif'))
  const port = await findFreePort(0)
  const securePort = await findFreePort(0, new Set([port]))
  const plain = `ldap://127.0.0.1:${port}`
  const secure = `ldaps://127.0.0.1:${securePort}`
  let child: Bun.Subprocess | undefined

  const resume = async () => {
    const output = Bun.file(join(folder, 'output.log'))
    const started = Bun.spawn([find('slapd'), '-d', '0', '-f', conf, '-h', `${plain}/ ${secure}/`], {
      cwd: folder,
      stdout: output,
      stderr: output,
    })
    child = started
    for (let attempt = 0; !(await isOpen(port)) || !(await isOpen(securePort)); attempt++) {
      if (started.exitCode !== null || attempt === 300)
        throw new Error(`slapd did not start: ${(await output.text()).slice(-2000)}`)
      await Bun.sleep(50)
    }
  }
  const pause = async () => {
    child?.kill('SIGTERM')
    await child?.exited
    child = undefined
  }
  await resume()
  return {
    plain,
    secure,
    ca: cert,
    pause,
    resume,
    async modify(changes) {
      const file = join(folder, 'changes.ldif')
      await Bun.write(file, `${changes}\n`)
      await run('ldapmodify', '-x', '-H', plain, '-D', ROOT.dn, '-w', ROOT.password, '-f', file)
    },
    async close() {
      await pause()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const settings = (folder: string): string => `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile ${folder}/slapd.pid
argsfile ${folder}/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
TLSCACertificateFile ${folder}/cert.pem
TLSCertificateFile ${folder}/cert.pem
TLSCertificateKeyFile ${folder}/key.pem
# Answers a bind without a password as many directories do (RFC 4513 section 5.1.2): with success.
allow bind_anon_cred bind_anon_dn
database mdb
maxsize 10485760
suffix ${SUFFIX}
rootdn ${ROOT.dn}
rootpw "${ROOT.password}"
directory ${folder}/db
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=${READER.bind_dn} read by self read by * none
`

const seed = (): string => `dn: ${SUFFIX}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ${READER.bind_dn}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: latchkey
userPassword: ${READER.bind_password}`

const find = (name: string): string => Bun.which(name, { PATH: SEARCH }) ?? name

async function run(name: string, ...args: string[]): Promise<void> {
  const child = Bun.spawn([find(name), ...args], { stdout: 'pipe', stderr: 'pipe' })
  const said = await new Response(child.stderr).text()
  if ((await child.exited) !== 0) throw new Error(`${name}: ${said.slice(-2000)}`)
}

const isOpen = (port: number): Promise<boolean> =>
  Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } }).then(
    (socket) => {
      socket.end()
      return true
    },
    () => false,
  )
