import { buildCommand, buildRouteMap } from '@stricli/core'
import { aliases, json, shared } from '../flags.ts'

/** `latchkey upstream …`: look after the providers that people may sign in with. */
export const upstreamRoutes = buildRouteMap({
  routes: {
    try: buildCommand({
      loader: () => import('./try.ts'),
      parameters: {
        flags: { ...shared, json },
        aliases,
        positional: {
          kind: 'tuple',
          parameters: [
            {
              brief: 'The id of the provider; may be left out where there is one only',
              parse: String,
              placeholder: 'id',
              optional: true,
            },
          ],
        },
      },
      docs: {
        brief: 'Sign in at a provider, and see what comes of it',
        fullDescription: `Prints an address for your browser and asks for the address that the provider sends the browser back to: nobody is
signed in there, since only this command knows the attempt. Then it prints the claims, what each template makes of them
and who would be let in. Needs no server that runs, a database only for providers of the admin API, and writes nothing. Tokens are not printed.

In a container: docker exec -it latchkey bun src/main.ts upstream try

Example: latchkey upstream try 01JDFX2V9S6QK3W4Z5Y7T8R9PA -c /etc/latchkey/config.yaml`,
      },
    }),
  },
  docs: { brief: 'Look after the providers that people may sign in with' },
})
