import { buildCommand } from '@stricli/core'

/** What `latchkey setup` takes. */
export const setupRoute = buildCommand({
  loader: () => import('./setup.ts'),
  parameters: {
    flags: {
      domain: {
        kind: 'parsed',
        parse: String,
        brief: 'The deployment domain: what stands after the colon in Matrix ids',
        optional: true,
        placeholder: 'name',
      },
      homeserverUrl: {
        kind: 'parsed',
        parse: String,
        brief: 'Where clients reach the homeserver; https://matrix.<domain>/ unless given',
        optional: true,
        placeholder: 'url',
      },
      url: {
        kind: 'parsed',
        parse: String,
        brief: 'Where people reach Latchkey; https://auth.<domain>/ unless given, a path is possible',
        optional: true,
        placeholder: 'url',
      },
      issuerOnDomain: {
        kind: 'boolean',
        brief: 'Sign as https://<domain>/, so that the address of Latchkey can change later',
        optional: true,
        withNegated: false,
      },
      homeserverEndpoint: {
        kind: 'parsed',
        parse: String,
        brief: 'Where Latchkey itself reaches Synapse; http://localhost:8008/ unless given',
        optional: true,
        placeholder: 'url',
      },
      listen: {
        kind: 'parsed',
        parse: String,
        brief: 'Where Latchkey listens; localhost:8080 unless given',
        optional: true,
        placeholder: 'host:port',
      },
      database: {
        kind: 'parsed',
        parse: String,
        brief: 'The PostgreSQL to use; one on this machine, still to be made, unless given',
        optional: true,
        placeholder: 'uri',
      },
      output: {
        kind: 'parsed',
        parse: String,
        brief: 'The folder to write into',
        default: 'latchkey-setup',
        placeholder: 'folder',
      },
      force: {
        kind: 'boolean',
        brief: 'Write over files of an earlier run; the secrets and keys of its config.yaml stay',
        optional: true,
        withNegated: false,
      },
      yes: { kind: 'boolean', brief: 'Ask nothing', optional: true, withNegated: false },
    },
    aliases: { o: 'output', y: 'yes' },
  },
  docs: {
    brief: 'Plan a deployment: write the configuration of Latchkey, Synapse and the web server',
    fullDescription: `Writes into a folder what a deployment needs: config.yaml for Latchkey, the lines for Synapse, the document of the
deployment domain, and the configuration of nginx, Caddy and Traefik; and says what to do with it, in order. Asks in a
terminal for what the flags don't say. docs/planning.md explains the choice.

Examples: latchkey setup
          latchkey setup --domain example.org
          latchkey setup --domain example.org --issuer-on-domain
          latchkey setup --domain example.org --homeserver-url https://example.org/ --url https://example.org/auth/`,
  },
})
