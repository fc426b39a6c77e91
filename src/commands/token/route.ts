import { buildCommand } from '@stricli/core'
import { aliases, flag, json, shared, text } from '../flags.ts'

/** `latchkey token`. */
export const tokenRoute = buildCommand({
  loader: () => import('./token.ts'),
  parameters: {
    flags: {
      ...shared,
      server: text("The server's address; that of the configuration where one is here", 'url'),
      scope: {
        kind: 'parsed',
        parse: String,
        brief: 'What the token may do',
        placeholder: 'scopes',
        default: 'urn:mas:admin',
      },
      clientId: text('Another client than the one that comes with the server', 'id'),
      clientSecretFile: text(
        'Sign the client itself in, with the secret in this file; - for standard input',
        'file',
      ),
      authMethod: {
        kind: 'enum',
        values: ['basic', 'post'],
        brief: 'Where the secret goes; in a header (basic) unless given',
        optional: true,
      },
      fresh: flag('Do not use the token that is kept'),
      prompt: { kind: 'boolean', brief: 'Ask somebody to sign in where that is needed', default: true },
      forget: flag('End the sign-in that is kept'),
      json,
    },
    aliases,
  },
  docs: {
    brief: 'Get an access token, for curl and scripts',
    fullDescription: `Prints an access token and nothing else. The first time somebody signs in with a browser, on this machine or
another one; after that the sign-in is kept (0600, in $XDG_STATE_HOME/latchkey or ~/.local/state/latchkey) and renewed.
With --client-secret-file a client of the configuration gets the token, without anybody.

Examples: curl -H "Authorization: Bearer $(latchkey token --server https://auth.example.org)" \\
            https://auth.example.org/api/admin/v1/users
          latchkey token --server auth.example.org --scope 'urn:latchkey:admin:users' --json
          latchkey token --server auth.example.org --client-id 01KAV4M7C0X9T8Z6Y5W3V2S1R0 --client-secret-file secret`,
  },
})
