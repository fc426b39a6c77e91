import type { Config } from '../config/schema.ts'
import { ownModule } from '../config/shipped.ts'
import { createOpaModule } from '../policy/opa/module.ts'
import { entrypointsOf } from '../policy/opa/module-policy.ts'
import { createLog } from '../telemetry/log.ts'

/** Loads the operator's own policy module, if there is one; gives its entry points. @throws PolicyModuleError */
export async function checkPolicyModule(policy: Config['policy']): Promise<string[]> {
  const path = ownModule(policy)
  if (path === undefined) return []
  const entrypoints = Object.values(entrypointsOf(policy))
  const module = createOpaModule({ path, log: createLog({ json: false, level: 'error' }) })
  try {
    await module.check(entrypoints)
    return entrypoints
  } finally {
    module.stop()
  }
}
