import { stringify } from 'yaml'
import { latchkeyAddress, type Plan, synapseAddress } from './plan.ts'
import { type Host, hostsOf, LOGIN, type Match, type Rule } from './routes.ts'

/** The largest upload that passes: Synapse's own default, `max_upload_size`. */
const MAX_UPLOAD = '50M'

const addressOf = (plan: Plan, { to }: Rule): string =>
  to === 'latchkey' ? latchkeyAddress(plan) : synapseAddress(plan)

/** What stands above each host: it may exist already. */
const note = (plan: Plan, { name }: Host): string =>
  name === plan.domain && name !== plan.homeserver.hostname && name !== plan.latchkey.hostname
    ? `${name} may have a web site: then put the lines below into what you have for it.`
    : `If you have something for ${name} already, put the lines below into it, before its own.`

/** For nginx: one server for each host. */
export function nginxOf(plan: Plan): string {
  const location = (match: Match) => {
    if (match === 'login') return `~ ${LOGIN}`
    return 'path' in match ? `= ${match.path}` : match.below
  }
  const rule = (one: Rule) => `
    # ${one.why}
    location ${location(one.match)} {
        proxy_pass ${addressOf(plan, one)};
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
${one.to === 'synapse' ? `        client_max_body_size ${MAX_UPLOAD};\n` : ''}    }
`
  const server = (host: Host) => `
# ${note(plan, host)}
server {
    listen 443 ssl http2;
    listen [::]:443 ssl http2;
    server_name ${host.name};
    ssl_certificate     /etc/letsencrypt/live/${host.name}/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/${host.name}/privkey.pem;
${host.rules.map(rule).join('')}${host.rules.some(isEverything) ? '' : '\n    # Nothing else is here.\n    location / {\n        return 404;\n    }\n'}}
`
  return `# For nginx: a file of /etc/nginx/conf.d or sites-enabled. The certificates are where certbot puts them.
${hostsOf(plan).map(server).join('')}`
}

const isEverything = ({ match }: Rule): boolean =>
  match !== 'login' && 'below' in match && match.below === '/'

/** For Caddy, which gets certificates by itself. */
export function caddyOf(plan: Plan): string {
  const matcher = (match: Match) => {
    if (match === 'login') return `path_regexp ${LOGIN}`
    return `path ${'path' in match ? match.path : `${match.below}*`}`
  }
  const rule = (one: Rule, index: number) => `
		# ${one.why}
		@rule${index} ${matcher(one.match)}
		handle @rule${index} {
			reverse_proxy ${addressOf(plan, one)}
		}`
  const site = (host: Host) => `
# ${note(plan, host)}
${host.name} {
	# In this order: the first that fits answers.
	route {${host.rules.map(rule).join('')}
		handle {
			respond 404
		}
	}
}
`
  return `# For Caddy: put this into /etc/caddy/Caddyfile, or import it there.
${hostsOf(plan).map(site).join('')}`
}

/** For Traefik 3: a file of its file provider. */
export function traefikOf(plan: Plan): string {
  const condition = (match: Match) => {
    if (match === 'login') return `PathRegexp(\`${LOGIN}\`)`
    return 'path' in match ? `Path(\`${match.path}\`)` : `PathPrefix(\`${match.below}\`)`
  }
  const routers = hostsOf(plan).flatMap((host) =>
    host.rules.map((rule, index) => [
      `${host.name.replaceAll('.', '-')}-${index + 1}`,
      {
        rule: `Host(\`${host.name}\`) && ${condition(rule.match)}`,
        // The first that fits answers, whatever the length of the rules.
        priority: 1000 - index,
        service: rule.to,
        entryPoints: ['websecure'],
        tls: { certResolver: 'letsencrypt' },
      },
    ]),
  )
  const server = (url: string) => ({ loadBalancer: { servers: [{ url }] } })
  const document = {
    http: {
      routers: Object.fromEntries(routers),
      services: { latchkey: server(latchkeyAddress(plan)), synapse: server(synapseAddress(plan)) },
    },
  }
  return `# For Traefik 3: a file that the file provider reads (providers.file.directory). Give "websecure" and "letsencrypt"
# the names that your entry point for port 443 and your certificate resolver have.
${stringify(document, { lineWidth: 0 })}`
}
