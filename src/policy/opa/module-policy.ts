import type { Config } from '../../config/schema.ts'
import { unsafeTargets } from '../client-registration.ts'
import { combinationViolations } from '../grant.ts'
import type { Policy, PolicyFacts } from '../policy.ts'
import { matrixNameViolations } from '../register.ts'
import type { Violation } from '../violation.ts'
import { clientInput, type ModuleClient, type ModuleUser, requesterInput, userInput } from './inputs.ts'
import { type OpaModule, PolicyModuleError } from './module.ts'

/** The entry points of a module. */
export interface Entrypoints {
  register: string
  email: string
  clientRegistration: string
  grant: string
  legacyLogin: string
}

/** As the configuration names them. */
export const entrypointsOf = (policy: Config['policy']): Entrypoints => ({
  register: policy.register_entrypoint,
  email: policy.email_entrypoint,
  clientRegistration: policy.client_registration_entrypoint,
  grant: policy.authorization_grant_entrypoint,
  legacyLogin: policy.compat_login_entrypoint,
})

/** What modules are told besides the question. */
export interface ModuleFacts extends PolicyFacts {
  /** `policy.data` as the module sees it: the same object as long as nothing changed. */
  document(): Promise<unknown>
  user(id: string): Promise<ModuleUser | undefined>
  client(id: string): Promise<ModuleClient | undefined>
}

/**
 * The rules of the operator's own module, in place of the built-in ones (reference operations 6). Under it stay only the
 * rules without which no Matrix client could work or a page could be turned against people.
 */
export function modulePolicy(facts: ModuleFacts, module: OpaModule, entrypoints: Entrypoints): Policy {
  const ask = async (entrypoint: string, input: object): Promise<Violation[]> =>
    readViolations(entrypoint, await module.evaluate(entrypoint, input, await facts.document()))
  const person = async (id: string) => {
    const user = await facts.user(id)
    if (!user) throw new PolicyModuleError('the account that the policy is asked about does not exist')
    return { user: userInput(user), session_counts: await facts.countSessions(id) }
  }
  return {
    async register({ method, username, email }, requester) {
      const { serverName } = await facts.rules()
      const unusable = matrixNameViolations(serverName, username)
      if (unusable.length > 0) return unusable
      return ask(entrypoints.register, {
        registration_method: method,
        username,
        ...(email !== undefined && { email }),
        requester: requesterInput(requester),
      })
    },
    email: (email, requester) => ask(entrypoints.email, { email, requester: requesterInput(requester) }),
    async clientRegistration(client, metadata, requester) {
      const unsafe = unsafeTargets(client)
      if (unsafe.length > 0) return unsafe
      const input = { client_metadata: metadata, requester: requesterInput(requester) }
      return ask(entrypoints.clientRegistration, input)
    },
    async grant({ scope, clientId, user, grantType }, requester) {
      const impossible = combinationViolations(scope)
      if (impossible.length > 0) return impossible
      const client = clientId === undefined ? undefined : await facts.client(clientId)
      return ask(entrypoints.grant, {
        ...(user ? await person(user.user_id) : { user: null, session_counts: null }),
        client: client ? clientInput(client) : null,
        scope: scope.join(' '),
        grant_type: grantType,
        requester: requesterInput(requester),
      })
    },
    legacyLogin: async ({ user, login, sessionReplaced }, requester) =>
      ask(entrypoints.legacyLogin, {
        ...(await person(user.user_id)),
        session_replaced: sessionReplaced,
        login,
        requester: requesterInput(requester),
      }),
    async check() {
      await facts.document()
      await module.check(Object.values(entrypoints))
    },
    stop: () => module.stop(),
  }
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * The violations in what a module answers: one result, a set of objects with `msg`.
 *
 * @throws PolicyModuleError for anything else, also for none: a module that says nothing allows nothing
 */
export function readViolations(entrypoint: string, answer: unknown): Violation[] {
  const wrong = () => new PolicyModuleError(`policy.wasm_module: ${entrypoint} is not a set of violations.`)
  const [result, ...more]: unknown[] = Array.isArray(answer) ? answer : []
  if (!isMapping(result) || more.length > 0 || !Array.isArray(result.result)) throw wrong()
  return result.result.map((item: unknown) => {
    if (!isMapping(item) || typeof item.msg !== 'string') throw wrong()
    const { msg, code, field, redirect_uri, need_to_remove } = item
    return {
      msg,
      ...(typeof code === 'string' && { code }),
      ...(typeof field === 'string' && { field }),
      ...(typeof redirect_uri === 'string' && { redirect_uri }),
      ...(typeof need_to_remove === 'number' && { need_to_remove }),
    }
  })
}
