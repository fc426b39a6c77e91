import { type Application, buildApplication, buildCommand, buildRouteMap, text_en } from '@stricli/core'
import { configRoutes } from './config-routes.ts'
import type { Context } from './context.ts'
import { explain } from './explain.ts'
import { configFlag, configOnly } from './flags.ts'
import { manageRoutes } from './manage/routes.ts'
import { tokenRoute } from './token/route.ts'

const start = buildCommand({
  loader: () => import('./start.ts'),
  parameters: configOnly,
  docs: {
    brief: 'Try Latchkey: set everything up at the first start, and run',
    fullDescription: `Starts Latchkey with what there is. Without a configuration it writes data/config.yaml with fresh secrets and
keys; without a database in it, it runs a PostgreSQL of its own beside that file. Ctrl-C stops both, and the
next start goes on where this one ended.

Example: latchkey start`,
  },
})

const server = buildCommand({
  loader: () => import('./server.ts'),
  parameters: {
    flags: {
      config: configFlag,
      migrate: { kind: 'boolean', brief: 'Bring the database up to date first', default: true },
      worker: { kind: 'boolean', brief: 'Run jobs in this process too', default: true },
      sync: {
        kind: 'boolean',
        brief: 'Write the clients of the configuration into the database',
        default: true,
      },
      stopWithStdin: {
        kind: 'boolean',
        brief: 'Stop when standard input ends, for programs that start Latchkey',
        default: false,
        withNegated: false,
      },
    },
    aliases: { c: 'config' },
  },
  docs: {
    brief: 'Run the server',
    fullDescription: `Runs the server until SIGTERM or SIGINT; a second signal ends it at once. The log goes to standard error, as
lines of JSON unless that is a terminal.

Examples: latchkey server -c /etc/latchkey/config.yaml
          latchkey server --no-worker`,
  },
})

const worker = buildCommand({
  loader: () => import('./worker.ts'),
  parameters: configOnly,
  docs: {
    brief: 'Run jobs only, without any listener',
    fullDescription: 'Example: latchkey worker -c /etc/latchkey/config.yaml',
  },
})

const database = buildRouteMap({
  routes: {
    migrate: buildCommand({
      loader: () => import('./database.ts').then((module) => module.migrateCommand),
      parameters: configOnly,
      docs: { brief: 'Bring the database up to date', fullDescription: 'Example: latchkey database migrate' },
    }),
    status: buildCommand({
      loader: () => import('./database.ts').then((module) => module.statusCommand),
      parameters: configOnly,
      docs: {
        brief: 'Show which migrations are still to be applied',
        fullDescription: 'Example: latchkey database status',
      },
    }),
  },
  docs: { brief: 'Care for the database' },
})

const keys = buildRouteMap({
  routes: {
    rotate: buildCommand({
      loader: () => import('./keys.ts').then((module) => module.rotateCommand),
      parameters: configOnly,
      docs: {
        brief: 'Make new signing keys',
        fullDescription: `Makes a set of signing keys, sealed in the database. They are published at once, sign from eleven minutes later on,
when every copy of the key set has them, and come before those of the configuration. Servers need no restart.

Example: latchkey keys rotate`,
      },
    }),
    list: buildCommand({
      loader: () => import('./keys.ts').then((module) => module.listCommand),
      parameters: configOnly,
      docs: { brief: 'Show the published signing keys', fullDescription: 'Example: latchkey keys list' },
    }),
    remove: buildCommand({
      loader: () => import('./keys.ts').then((module) => module.removeCommand),
      parameters: {
        ...configOnly,
        positional: {
          kind: 'tuple',
          parameters: [{ brief: 'The kid of the key', parse: String, placeholder: 'kid' }],
        },
      },
      docs: {
        brief: 'Remove a signing key that rotate made',
        fullDescription: 'Example: latchkey keys remove 4xq2…',
      },
    }),
  },
  docs: { brief: 'Care for the signing keys' },
})

const demo = buildCommand({
  loader: () => import('./demo.ts'),
  parameters: {
    flags: {
      directory: {
        kind: 'parsed',
        parse: String,
        brief: 'Where everything of the demo is kept',
        default: 'data/demo',
        placeholder: 'folder',
      },
    },
  },
  docs: {
    brief: 'Run a whole Matrix deployment on this machine: Latchkey and Synapse',
    fullDescription: `Installs Synapse the first time (about 250 MB, into your cache folder), configures both for each other, and
says what to open. Needs Python 3. Ctrl-C stops everything.

Example: latchkey demo`,
  },
})

const doctor = buildCommand({
  loader: () => import('./doctor/doctor.ts'),
  parameters: {
    flags: {
      config: configFlag,
      homeserverUrl: {
        kind: 'parsed',
        parse: String,
        brief: 'Where clients reach the homeserver, instead of what the well-known document says',
        optional: true,
        placeholder: 'url',
      },
      connectTo: {
        kind: 'parsed',
        parse: String,
        brief:
          'HOST:PORT:HOST:PORT: reach the first at the second, before the DNS leads there; may be repeated',
        optional: true,
        variadic: true,
        placeholder: 'where',
      },
      json: { kind: 'boolean', brief: 'Print JSON, for scripts', optional: true, withNegated: false },
    },
    aliases: { c: 'config' },
  },
  docs: {
    brief: 'Check a deployment that runs, from outside in',
    fullDescription: `Looks at names and certificates, the documents, the homeserver and the secret in both directions, the
routes of older clients, the admin API, mail, the database, clocks, keys and the queue. Each check says what it saw and,
where something is wrong, what to do. Changes nothing. Ends with 1 when a check failed.

Examples: latchkey doctor -c /etc/latchkey/config.yaml
          latchkey doctor --json | jq '.findings[] | select(.verdict == "failed")'
          latchkey doctor --connect-to auth.example.org:443:127.0.0.1:8443`,
  },
})

const setup = buildCommand({
  loader: () => import('./setup/setup.ts'),
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

/** The command line. Every command loads its code when it runs. */
export const createCli = (version: () => Promise<string>): Application<Context> =>
  buildApplication(
    buildRouteMap({
      routes: {
        start,
        server,
        worker,
        setup,
        doctor,
        manage: manageRoutes,
        token: tokenRoute,
        keys,
        config: configRoutes,
        database,
        demo,
      },
      docs: {
        brief: 'Latchkey: an authentication service for Matrix homeservers',
        fullDescription: `Latchkey: an authentication service for Matrix homeservers.

To try it: latchkey start
To see what a command takes: latchkey <command> --help`,
      },
    }),
    {
      name: 'latchkey',
      versionInfo: { getCurrentVersion: version },
      scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
      documentation: { caseStyle: 'convert-camel-to-kebab' },
      localization: {
        text: {
          ...text_en,
          commandErrorResult: explain,
          exceptionWhileRunningCommand: explain,
          exceptionWhileLoadingCommandFunction: explain,
        },
      },
    },
  )
