import { printable } from '../token/authorization-server.ts'
import { type Finding, findingsOf, paste } from './finding.ts'
import { whyNot } from './reach.ts'
import { isThisMachine, type Site } from './site.ts'

/** Days before the end of a certificate in which it should have been renewed: the usual ones live 90. */
const RENEW_DAYS = 14
const DAY = 86_400_000

/** Whether people reach Latchkey over https. */
export async function checkAddress({ urls }: Site): Promise<Finding[]> {
  const { ok, warning, failed } = findingsOf('address')
  const base = new URL(urls.base)
  if (urls.secure && urls.issuer.startsWith('https:')) return [ok(`People sign in at ${urls.base}`)]
  if (isThisMachine(base.hostname))
    return [warning(`${urls.base} is for this machine alone: fine to try Latchkey, no use for anybody else.`)]
  return [
    failed(
      `People sign in at ${urls.base}, without encryption: passwords and tokens can be read on the way.`,
      paste(
        'Put a web server with a certificate in front, and name that address.',
        'config.yaml',
        'http:',
        `  public_base: https://${base.host}/`,
      ),
    ),
  ]
}

/** Every name of the deployment: whether it exists, and shows a certificate that is good. */
export async function checkNames(site: Site): Promise<Finding[]> {
  const homeserver = await site.homeserver()
  const urls = [
    new URL(`https://${site.domain}/`),
    ...(homeserver ? [homeserver] : []),
    new URL(site.urls.base),
    new URL(site.urls.issuer),
  ]
  const origins = [...new Set(urls.map(({ origin }) => origin))]
  const found = await Promise.all(origins.map((origin) => checkName(site, new URL(origin))))
  return found.flat()
}

async function checkName({ reach, clock }: Site, url: URL): Promise<Finding[]> {
  const { hostname, host } = url
  const dns = findingsOf('dns', host)
  const tls = findingsOf('tls', host)
  const detour = reach.detour(url)
  if (isThisMachine(hostname) && detour === undefined) return [dns.skipped(`${hostname} is this machine.`)]
  const findings: Finding[] = []
  if (detour !== undefined) findings.push(dns.skipped(`${host} is reached through ${detour}.`))
  else {
    try {
      findings.push(dns.ok(`${hostname} is ${(await reach.addresses(hostname)).join(', ')}`))
    } catch (error) {
      return [
        dns.failed(
          `${hostname} has no address (${whyNot(error)}).`,
          paste(
            'Add a record where the name is looked after; with this address of your server:',
            'DNS',
            `${hostname}. 3600 IN A 192.0.2.1`,
          ),
        ),
        tls.skipped(`${hostname} has no address.`),
      ]
    }
  }
  if (url.protocol !== 'https:') return findings
  // Through a proxy only requests go, and those of the other checks say whether the certificate is good.
  if (detour !== undefined && !detour.includes('--connect-to')) return findings
  return [...findings, await certificateFinding()]

  async function certificateFinding(): Promise<Finding> {
    try {
      const { validTo, problem } = await reach.certificate(hostname, Number(url.port || 443))
      const days = Math.floor((validTo.getTime() - clock.now().getTime()) / DAY)
      const end = validTo.toISOString().slice(0, 10)
      const renew = paste(
        'Renew it, and let the web server read it again:',
        'a shell of the web server',
        'certbot renew && systemctl reload nginx',
      )
      if (days < 0) return tls.failed(`The certificate of ${host} ended on ${end}.`, renew)
      if (problem !== undefined)
        return tls.failed(`The certificate of ${host} is not believed (${printable(problem)}).`, {
          mend: sentenceFor(problem, hostname),
        })
      if (days < RENEW_DAYS) return tls.warning(`The certificate of ${host} ends on ${end}.`, renew)
      return tls.ok(`The certificate of ${host} is good until ${end}.`)
    } catch (error) {
      return tls.failed(`${host} speaks no TLS (${whyNot(error)}).`, {
        mend: `Let the web server listen on port ${url.port || 443}, with a certificate for ${hostname}, and open the firewall for it.`,
      })
    }
  }
}

function sentenceFor(problem: string, host: string): string {
  if (/ALTNAME/.test(problem))
    return `Get a certificate that names ${host}, and give it to the server of this name.`
  if (/SELF_SIGNED/.test(problem))
    return 'Get one from a public authority such as Let’s Encrypt; for one of your own, name its file in NODE_EXTRA_CA_CERTS for Latchkey, Synapse and this command.'
  return 'Give the web server the whole chain (fullchain.pem), not the certificate alone.'
}
