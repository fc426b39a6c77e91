import { buildCommand } from '@stricli/core'
import { configFlag } from '../flags.ts'

/** What `latchkey doctor` takes. */
export const doctorRoute = buildCommand({
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
