import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import { findUpstreamProvider } from '../../sql/admin-upstream.ts'
import type { UpstreamProviderRow } from '../../sql/upstream-providers.ts'
import { problemSentence } from '../config/provider.ts'
import { upstream } from '../config/schema/clients.ts'
import { AdminError } from '../http/errors.ts'
import {
  changeOperatorProvider,
  createOperatorProvider,
  type Hanging,
  type Refused,
  removeOperatorProvider,
  type Settings,
  setProviderEnabled,
} from '../identity/operator-providers.ts'
import { type Call, type Operation, operation, type Refusal, type Reply } from './operation.ts'
import { found, single } from './resource.ts'
import { nullable } from './schemas.ts'
import { answers, PROVIDER } from './upstream-providers.ts'

/** The members of `upstream_oauth2.providers[]`: the schema of the configuration itself. */
const MEMBERS = upstream.properties.providers.items.properties

/** Files of the server are named by its configuration alone. */
const ONLY_IN_FILES = new Set(['client_secret_file', 'private_key_file'])

/** A schema of the configuration as a body has it: what has a default may be absent. */
function inBody(schema: TSchema): TSchema {
  if (schema.type === 'array')
    return Type.Array(inBody(schema.items), { description: String(schema.description) })
  if (schema.type !== 'object' || schema.properties === undefined) {
    // Notes of the configuration's own reader, which looks at the whole provider afterwards.
    const { url: _, hint: __, ...plain } = schema
    return plain as TSchema
  }
  const { properties, required = [] } = schema as TObject
  const members = Object.entries(properties)
    .filter(([name]) => !ONLY_IN_FILES.has(name))
    .map(([name, member]) => {
      const must = required.includes(name) && member.default === undefined
      return [name, must ? inBody(member) : Type.Optional(inBody(member))]
    })
  return Type.Object(Object.fromEntries(members), {
    additionalProperties: false,
    ...(schema.description !== undefined && { description: schema.description }),
  })
}

const EXAMPLE = {
  issuer: 'https://id.example.com/',
  human_name: 'Example Inc.',
  client_id: 'latchkey',
  client_secret: 'Wd9kT2mQx7Lp',
  token_endpoint_auth_method: 'client_secret_basic',
  scope: 'openid profile email',
  claims_imports: { localpart: { action: 'require' }, displayname: { action: 'suggest' } },
}

const { id, ...others } = MEMBERS
const whole = inBody(Type.Object({ ...others, id: Type.Optional(id) })) as TObject
const NewProvider = Type.Object(whole.properties, { additionalProperties: false, examples: [EXAMPLE] })
const ChangedProvider = Type.Object(
  Object.fromEntries(
    Object.entries(whole.properties)
      .filter(([name]) => name !== 'id')
      .map(([name, member]) => [name, Type.Optional(nullable(member))]),
  ),
  { additionalProperties: false, examples: [{ human_name: 'Example Ltd.', client_secret: 'k3Vq8ZpN5sYb' }] },
)

const NOT_FOUND = { status: 404, code: 'not_found', when: 'There is no such provider.' } as const
const INVALID: Refusal = {
  status: 400,
  code: 'invalid_provider',
  when: 'A configuration with this provider would not start.',
}
const CONFIGURED: Refusal = {
  status: 409,
  code: 'configured_provider',
  when: 'The configuration names the provider, or did, and alone changes it.',
}
const EXISTS: Refusal = { status: 409, code: 'provider_exists', when: 'There is a provider of this id.' }
const LINKED: Refusal = {
  status: 409,
  code: 'provider_has_links',
  when: 'Accounts are linked to it, and `links` is not `true`.',
}
const CHANGED: Refusal = {
  status: 409,
  code: 'changed_meanwhile',
  when: 'Somebody else changed it at the same moment.',
}
const SEALED: Refusal = {
  status: 409,
  code: 'secret_unreadable',
  when: 'Its secret was sealed under a `secrets.encryption` that is gone; give the secret too.',
}

/** A refusal of the use case as one of this API. */
function refusalOf(refused: Refused): AdminError {
  switch (refused.result) {
    case 'invalid': {
      const path = refused.problems[0]?.path ?? []
      return new AdminError(400, INVALID.code, 'The provider is not valid.', {
        detail: refused.problems.map(problemSentence).join(' '),
        source: { pointer: path.map((part) => `/${part}`).join('') },
      })
    }
    case 'not_found':
      return new AdminError(404, 'not_found', 'There is no such upstream provider.')
    case 'exists':
      return new AdminError(409, EXISTS.code, 'There is a provider of this id.', {
        detail: 'Leave the id out to get a new one, or change the provider that there is.',
      })
    case 'outdated':
      return new AdminError(409, CHANGED.code, 'Somebody else changed this provider at the same moment.', {
        detail: 'Read it again, and repeat the change.',
      })
    case 'sealed':
      return new AdminError(409, SEALED.code, 'The secret of this provider cannot be read any more.', {
        detail:
          'secrets.encryption is another one than when it was stored. Give client_secret with the change.',
      })
  }
}

const rowOf = async ({ deps, params }: Call): Promise<UpstreamProviderRow> =>
  found((await findUpstreamProvider(deps.sql, params.id ?? ''))[0], 'upstream provider')

/** A provider that this API made. @throws AdminError 404, 409 */
async function ownRow(call: Call): Promise<UpstreamProviderRow> {
  const row = await rowOf(call)
  if (row.by_api) return row
  throw new AdminError(409, CONFIGURED.code, 'This provider is one of the configuration.', {
    detail:
      'Change it in upstream_oauth2.providers and reload the server (SIGHUP); enabled: false there switches it off. ' +
      'One that left the configuration goes with: latchkey config sync --prune',
  })
}

async function shown(call: Call, uuid: string, status: 200 | 201 = 200): Promise<Reply> {
  const [row] = await findUpstreamProvider(call.deps.sql, uuid)
  return single(call, PROVIDER, found(row, 'upstream provider'), status)
}

const switching = (verb: 'enable' | 'disable', summary: string, description: string): Operation =>
  operation({
    method: 'POST',
    path: `${PROVIDER.path}/{id}/${verb}`,
    id: verb === 'enable' ? 'enableUpstreamOAuthProvider' : 'disableUpstreamOAuthProvider',
    area: 'users',
    everythingOnly: true,
    summary,
    description,
    success: { status: 200, description: 'The provider.', schema: answers.single },
    refusals: [NOT_FOUND, CONFIGURED],
    async handle(call) {
      const row = await ownRow(call)
      const there = await setProviderEnabled(call.deps, row.id, verb === 'enable')
      if (!there) throw refusalOf({ result: 'not_found' })
      return shown(call, row.id)
    },
  })

/** Who is linked to a provider, for whoever would delete it. */
function hangingSentence({ accounts, stranded }: Hanging): string {
  const linked = accounts === 1 ? '1 account is linked to it' : `${accounts} accounts are linked to it`
  return `${linked}; ${stranded} of them ${stranded === 1 ? 'has' : 'have'} neither a password nor another provider.`
}

/** Providers that this API makes, as the configuration makes others. */
export const providerChanges: Operation[] = [
  operation({
    method: 'POST',
    path: PROVIDER.path,
    id: 'createUpstreamOAuthProvider',
    area: 'users',
    everythingOnly: true,
    summary: 'Make a provider that people may sign in with',
    description:
      'Its members are those of `upstream_oauth2.providers[]` in the configuration, and mean the same; secrets are given ' +
      'themselves and not as files, and no answer shows them. People can sign in with it at once, here, and within two ' +
      'seconds in other processes. Register `<public_base>upstream/callback/<id>` at the provider.',
    body: NewProvider,
    success: { status: 201, description: 'The provider.', schema: answers.single },
    refusals: [INVALID, EXISTS],
    async handle(call) {
      const made = await createOperatorProvider(call.deps, call.body as Settings)
      if (made.result !== 'made') throw refusalOf(made)
      return shown(call, made.id, 201)
    },
  }),
  operation({
    method: 'PUT',
    path: `${PROVIDER.path}/{id}`,
    id: 'updateUpstreamOAuthProvider',
    area: 'users',
    everythingOnly: true,
    summary: 'Change a provider',
    description:
      'One that this API made. What is absent stays, secrets too; null takes a member away. A member with members of its ' +
      'own, such as `claims_imports`, is replaced whole.',
    body: ChangedProvider,
    success: { status: 200, description: 'The provider.', schema: answers.single },
    refusals: [INVALID, NOT_FOUND, CONFIGURED, CHANGED, SEALED],
    async handle(call) {
      const row = await ownRow(call)
      const changed = await changeOperatorProvider(call.deps, row.id, call.body as Settings)
      if (changed.result !== 'changed') throw refusalOf(changed)
      return shown(call, row.id)
    },
  }),
  switching(
    'enable',
    'Offer a provider again',
    'One that this API made. Who is linked to it can sign in again.',
  ),
  switching(
    'disable',
    'Take a provider away',
    'One that this API made. Its button is gone and nobody signs in with it; the links of people to it stay, and so do ' +
      'the sessions that it began.',
  ),
  operation({
    method: 'DELETE',
    path: `${PROVIDER.path}/{id}`,
    id: 'deleteUpstreamOAuthProvider',
    area: 'users',
    everythingOnly: true,
    summary: 'Delete a provider',
    description:
      'One that this API made. While accounts are linked to it, it is deleted with `links=true` only: the links go with ' +
      'it, the accounts stay. The refusal says how many would be left without a way to sign in.',
    query: Type.Object({
      links: Type.Optional(
        Type.Boolean({ description: 'Delete the links of accounts to it too; they do not come back.' }),
      ),
    }),
    success: { status: 204, description: 'It is gone.' },
    refusals: [NOT_FOUND, CONFIGURED, LINKED],
    async handle(call) {
      const row = await ownRow(call)
      const { target } = single(call, PROVIDER, row)
      const outcome = await removeOperatorProvider(call.deps, row.id, { links: call.query.links === true })
      if (outcome.result === 'not_found') throw refusalOf({ result: 'not_found' })
      if (outcome.result === 'linked')
        throw new AdminError(409, LINKED.code, 'People are linked to this provider.', {
          detail: `${hangingSentence(outcome.hanging)} Disable it to keep the links, or delete it with ?links=true.`,
        })
      return { status: 204, target }
    },
  }),
]
