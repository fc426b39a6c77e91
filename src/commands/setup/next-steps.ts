import type { Plan } from './plan.ts'
import { hostsOf } from './routes.ts'

/** What to do with the files, in order. */
export function nextSteps(plan: Plan, newDatabase: boolean): string {
  const names = hostsOf(plan).map(({ name }) => name)
  const steps = [
    `**Names.** These must lead to your web server (DNS): ${names.join(', ')}.`,
    `**Certificates** for the same names. Caddy and Traefik get them by themselves; for nginx:\n\n${names.map((name) => `       certbot certonly --nginx -d ${name}\n`).join('')}`.trimEnd(),
    newDatabase
      ? '**Database.** PostgreSQL 14 or later on this machine:\n\n       su postgres -c psql < database.sql'
      : '**Database.** It must be there, empty, and belong to the user that config.yaml names.',
    '**Latchkey.** Install it as docs/installation.md says, then:\n\n       install -d /etc/latchkey\n       install -m 640 -g latchkey config.yaml /etc/latchkey/config.yaml\n       latchkey config check -c /etc/latchkey/config.yaml\n       systemctl enable --now latchkey',
    '**Synapse.** Add synapse.yaml to its configuration, remove what it then refuses (docs/installation.md, "Synapse"), and restart it:\n\n       install -m 640 -g matrix-synapse synapse.yaml /etc/matrix-synapse/conf.d/latchkey.yaml\n       systemctl restart matrix-synapse',
    webServer(plan),
    '**The first account**, an admin:; the command asks for the rest:\n\n       latchkey manage register-user alice --admin -c /etc/latchkey/config.yaml',
    '**Look whether everything is in order:**\n\n       latchkey doctor -c /etc/latchkey/config.yaml',
  ]
  return `# What to do next

For \`@name:${plan.domain}\`, with Latchkey at ${plan.latchkey} and the homeserver at ${plan.homeserver}

The part after the colon can never change. Everything else can, but the issuer (${plan.issuer}) better stays.

${steps.map((step, index) => `${index + 1}. ${step}`).join('\n\n')}

config.yaml${newDatabase ? ', database.sql' : ''} and synapse.yaml hold secrets: remove them here when they are in their places, and keep a copy of the first with your backups.
`
}

function webServer(plan: Plan): string {
  const alone = plan.domain !== plan.homeserver.hostname && plan.domain !== plan.latchkey.hostname
  const elsewhere = alone
    ? ` Is ${plan.domain} served by somebody else, who only takes files? Then give them matrix-client.json, as /.well-known/matrix/client, with the header \`Access-Control-Allow-Origin: *\`${
        plan.issuer.hostname === plan.domain
          ? `, and let them redirect /.well-known/openid-configuration to ${plan.latchkey}.well-known/openid-configuration`
          : ''
      }.`
    : ''
  return `**Web server.** One of nginx.conf, Caddyfile and traefik.yaml; reload it.${elsewhere}`
}
