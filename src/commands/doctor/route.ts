import { buildCommand, buildRouteMap } from '@stricli/core'
import { aliases, configFlag, json, shared } from '../flags.ts'

const everything = buildCommand({
  loader: () => import('./doctor.ts'),
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
      json,
    },
    aliases,
  },
  docs: {
    brief: 'Check all of it (what doctor does without another word)',
    fullDescription: `Looks at names and certificates, the documents, the homeserver and the secret in both directions, the
routes of older clients, the admin API, mail, the database, clocks, keys, the queue, the providers and the directory. Each check says what it saw and,
where something is wrong, what to do. Changes nothing. Ends with 1 when a check failed.

Examples: latchkey doctor -c /etc/latchkey/config.yaml
          latchkey doctor --json | jq '.findings[] | select(.verdict == "failed")'
          latchkey doctor --connect-to auth.example.org:443:127.0.0.1:8443`,
  },
})

const upstream = buildCommand({
  loader: () => import('./doctor.ts').then((module) => module.doctorUpstream),
  parameters: {
    flags: { ...shared, json },
    aliases,
    positional: {
      kind: 'tuple',
      parameters: [
        {
          brief: 'The id of a provider; all of them without it',
          parse: String,
          placeholder: 'id',
          optional: true,
        },
      ],
    },
  },
  docs: {
    brief: 'Check the providers that people may sign in with',
    fullDescription: `Asks each provider, also those that the admin API made, as a sign-in would: its metadata, its keys, whether it takes our proof (with a
made-up code), userinfo; compares what it offers with the configuration, and prints what has to be registered there.
Needs no server that runs. Ends with 1 when a check failed.

Examples: latchkey doctor upstream -c /etc/latchkey/config.yaml
          latchkey doctor upstream 01JDFX2V9S6QK3W4Z5Y7T8R9PA --json`,
  },
})

/** What `latchkey doctor` takes: without another word it looks at everything. */
export const doctorRoute = buildRouteMap({
  routes: { everything, upstream },
  defaultCommand: 'everything',
  docs: {
    brief: 'Check a deployment that runs, from outside in',
    fullDescription: `Without another word it checks everything, and takes what "everything" takes.

Examples: latchkey doctor -c /etc/latchkey/config.yaml
          latchkey doctor everything --help
          latchkey doctor upstream`,
  },
})
