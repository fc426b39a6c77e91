import { type Application, buildApplication, buildCommand, buildRouteMap, text_en } from '@stricli/core'
import { configRoutes } from './config-routes.ts'
import type { Context } from './context.ts'
import { databaseRoutes } from './database-routes.ts'
import { debugRoutes } from './debug-routes.ts'
import { doctorRoute } from './doctor/route.ts'
import { explain } from './explain.ts'
import { configFlag, configOnly } from './flags.ts'
import { ldapRoute } from './ldap/route.ts'
import { manageRoutes } from './manage/routes.ts'
import { setupRoute } from './setup/route.ts'
import { syn2masRoutes } from './syn2mas-routes.ts'
import { templatesRoutes } from './templates-routes.ts'
import { tokenRoute } from './token/route.ts'
import { upstreamRoutes } from './upstream/route.ts'

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

/** As many processes as one machine can use. */
function workerCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 64) throw new Error('a number from 1 to 64')
  return count
}

/** `127.0.0.1:8082` or `[::1]:8082`. */
function addressAndPort(text: string): { host: string; port: number } {
  const [, ipv6, ipv4, digits] = /^(?:\[([\da-fA-F:.]+)\]|([\d.]+)):(\d{1,5})$/.exec(text) ?? []
  const host = ipv6 ?? ipv4
  const port = Number(digits)
  if (host === undefined || port > 65_535) throw new Error('an address and a port, like 127.0.0.1:8082')
  return { host, port }
}

const server = buildCommand({
  loader: () => import('./server.ts'),
  parameters: {
    flags: {
      config: configFlag,
      migrate: { kind: 'boolean', brief: 'Bring the database up to date first', default: true },
      worker: { kind: 'boolean', brief: 'Run jobs in this process too', default: true },
      workers: {
        kind: 'parsed',
        parse: workerCount,
        brief: 'Processes that answer, on the same ports; the first one runs the jobs',
        placeholder: 'number',
        default: '1',
      },
      sharePorts: {
        kind: 'boolean',
        brief: 'Let other processes listen on the same ports',
        default: false,
        withNegated: false,
        hidden: true,
      },
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
          latchkey server --workers 4
          latchkey server --no-worker`,
  },
})

const worker = buildCommand({
  loader: () => import('./worker.ts'),
  parameters: {
    flags: {
      config: configFlag,
      listen: {
        kind: 'parsed',
        parse: addressAndPort,
        brief:
          'Where to serve /health, /ready and /metrics, like 127.0.0.1:8082; nowhere unless this is said',
        optional: true,
        placeholder: 'address:port',
      },
    },
    aliases: { c: 'config' },
  },
  docs: {
    brief: 'Run jobs only, beside servers without them',
    fullDescription: `Examples: latchkey worker -c /etc/latchkey/config.yaml
          latchkey worker --listen 127.0.0.1:8082`,
  },
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

const health = buildCommand({
  loader: () => import('./health.ts'),
  parameters: configOnly,
  docs: {
    brief: 'Ask the server on this machine whether it is well',
    fullDescription: `Asks the listener that has the resource health. Ends with 0 when the server answers, else with 1:
for the health check of a container.

Example: latchkey health -c /etc/latchkey/config.yaml`,
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
        setup: setupRoute,
        doctor: doctorRoute,
        health,
        manage: manageRoutes,
        ldap: ldapRoute,
        token: tokenRoute,
        upstream: upstreamRoutes,
        keys,
        config: configRoutes,
        templates: templatesRoutes,
        database: databaseRoutes,
        debug: debugRoutes,
        demo,
        syn2mas: syn2masRoutes,
      },
      docs: {
        hideRoute: { syn2mas: true },
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
