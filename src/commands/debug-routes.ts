import { buildCommand, buildRouteMap } from '@stricli/core'
import { aliases, flag, json, shared } from './flags.ts'

/** `latchkey debug …`, as in MAS. */
export const debugRoutes = buildRouteMap({
  routes: {
    policy: buildCommand({
      loader: () => import('./debug.ts').then((module) => module.policyCommand),
      parameters: {
        flags: {
          ...shared,
          withDynamicData: flag('Lay over it what was set at run time, which the database has'),
          json,
        },
        aliases,
      },
      docs: {
        brief: 'Find out whether the policy can decide, and what it goes by',
        fullDescription: `Loads the module of policy.wasm_module, if there is one, and checks its entry points and the data.

Examples: latchkey debug policy
          latchkey debug policy --with-dynamic-data --json`,
      },
    }),
  },
  docs: { brief: 'Look into what decides' },
})
