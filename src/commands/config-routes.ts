import { buildCommand, buildRouteMap } from '@stricli/core'
import { aliases, flag, json, shared, text } from './flags.ts'

/** `latchkey config …`. */
export const configRoutes = buildRouteMap({
  routes: {
    check: buildCommand({
      loader: () => import('./config.ts').then((module) => module.checkCommand),
      parameters: {
        flags: {
          ...shared,
          deep: flag('Try the database, the mail server, the homeserver and the providers too'),
          json,
        },
        aliases,
      },
      docs: {
        brief: 'Check the configuration',
        fullDescription: `Names every mistake, and loads keys, certificates, own pages and texts, an own policy module. With --deep it also
opens the database, signs in to the mail server and the directory, asks the homeserver whether the secret is right, in
both directions, and each provider as a sign-in would. Nothing is changed.

Examples: latchkey config check
          latchkey config check --deep -c config.yaml -c secrets.yaml`,
      },
    }),
    generate: buildCommand({
      loader: () => import('./generate.ts'),
      parameters: {
        flags: {
          output: text('Write it to this file, which must not exist, readable by you alone', 'file'),
          synapseConfig: {
            kind: 'parsed',
            parse: String,
            brief: "Synapse's homeserver.yaml, to take over from; several are merged as Synapse does",
            optional: true,
            variadic: true,
            placeholder: 'file',
          },
          homeserver: text(
            'The Matrix server name (what stands after the colon in @name:example.org)',
            'name',
          ),
        },
        aliases: { o: 'output' },
      },
      docs: {
        brief: 'Write a new configuration with fresh secrets and keys',
        fullDescription: `With --synapse-config it takes over what Synapse's configuration says about accounts, passwords, mail and
sign-in through other providers, and says what has no counterpart.

Examples: latchkey config generate --homeserver example.org -o config.yaml
          latchkey config generate --synapse-config homeserver.yaml -o config.yaml`,
      },
    }),
    dump: buildCommand({
      loader: () => import('./config-dump.ts'),
      parameters: {
        flags: {
          ...shared,
          output: text('Write it to this file, which must not exist, readable by you alone', 'file'),
          showSecrets: flag('Print secrets too, so that the result can be used as a configuration'),
        },
        aliases: { ...aliases, o: 'output' },
      },
      docs: {
        brief: 'Print what files and variables say together',
        fullDescription: `Prints the configuration without defaults. Secrets are masked, unless --show-secrets says otherwise.

Example: latchkey config dump -c config.yaml -c local.yaml`,
      },
    }),
    sync: buildCommand({
      loader: () => import('./config-sync.ts'),
      parameters: {
        flags: {
          ...shared,
          prune: flag(
            'Remove clients and providers that left the configuration, with all that hangs on them',
          ),
          dryRun: flag('Say what would change, and change nothing'),
          json,
        },
        aliases,
      },
      docs: {
        brief: 'Write the clients and providers of the configuration into the database, as every start does',
        fullDescription: `Says what was added and changed. Clients that left the configuration still work, until --prune removes them with
their sign-ins and tokens. Brings the database up to date first, unless it is a dry run.

Example: latchkey config sync --prune --dry-run`,
      },
    }),
    schema: buildCommand({
      loader: () => import('./config.ts').then((module) => module.schemaCommand),
      parameters: {},
      docs: {
        brief: 'Print the JSON Schema of the configuration, for editors',
        fullDescription: 'Example: latchkey config schema > config.schema.json',
      },
    }),
  },
  docs: { brief: 'Check and write configurations' },
})
