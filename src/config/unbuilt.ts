import type { RESOURCE_NAMES } from './schema/http.ts'
import type { ConfigInput } from './schema.ts'
import { isShipped } from './shipped.ts'

/** A key that is accepted and has no effect (yet): where it is, when to say so, and what to say. */
export interface Notice {
  path: string
  applies: (input: ConfigInput) => boolean
  sentence: string
}

type ResourceName = (typeof RESOURCE_NAMES)[number]

const resources = (input: ConfigInput): (string | undefined)[] =>
  (input.http?.listeners ?? []).flatMap((listener) => (listener.resources ?? []).map(({ name }) => name))

const resource = (name: ResourceName, sentence: string): Notice & { resource: ResourceName } => ({
  path: `http.listeners[].resources[] ${name}`,
  applies: (input) => resources(input).includes(name),
  sentence,
  resource: name,
})

/** The features that are not built yet. Build one, delete its row. */
export const UNBUILT: readonly (Notice & { resource?: ResourceName })[] = [
  {
    path: 'telemetry.sentry.traces_sample_rate',
    applies: ({ telemetry }) => (telemetry?.sentry?.traces_sample_rate ?? 0) > 0,
    sentence: 'Traces do not go to Sentry by this key: use telemetry.tracing, whose OTLP Sentry takes too.',
  },
  resource('graphql', 'MAS calls this API internal and Latchkey has none: its paths answer 404.'),
  resource('connection-info', 'The page for debugging connections is not built: its path answers 404.'),
]

/** The names of listener resources that nothing is served for yet. */
export const unbuiltResources = (): ReadonlySet<string> =>
  new Set(UNBUILT.flatMap((row) => (row.resource === undefined ? [] : [row.resource])))

const ownFiles = (path: string, read: (input: ConfigInput) => (string | undefined)[], instead: string) => ({
  path,
  applies: (input: ConfigInput) => read(input).some((value) => value !== undefined),
  sentence: `Latchkey brings its own files and does not read this path. ${instead}`,
})

/** Keys of MAS that have no meaning here, and will not get one. */
export const DEAD: readonly Notice[] = [
  ownFiles(
    'templates.path',
    ({ templates }) => [templates?.path],
    'To change a page, put your version of it into the directory templates.overlay_path.',
  ),
  ownFiles('templates.assets_manifest', ({ templates }) => [templates?.assets_manifest], 'Remove it.'),
  ownFiles(
    'templates.translations_path',
    ({ templates }) => [templates?.translations_path],
    'To change a message, use templates.translations_overlay_path.',
  ),
  ownFiles(
    'http.listeners[].resources[].path',
    ({ http }) =>
      (http?.listeners ?? []).flatMap((listener) => (listener.resources ?? []).map(({ path }) => path)),
    'Remove it.',
  ),
  ownFiles(
    'policy.wasm_module',
    ({ policy }) => [policy?.wasm_module].filter((path) => path !== undefined && isShipped(path)),
    'The built-in rules apply, with policy.data.',
  ),
  {
    path: 'policy.password_entrypoint',
    applies: ({ policy }) => (policy?.password_entrypoint ?? 'password/violation') !== 'password/violation',
    sentence: 'This key never had an effect, in MAS either. Remove it.',
  },
  {
    path: 'upstream_oauth2.providers[].forward_login_hint',
    applies: ({ upstream_oauth2 }) =>
      (upstream_oauth2?.providers ?? []).some((one) => one.forward_login_hint === true),
    sentence:
      'Deprecated since MAS 1.20: use additional_authorization_parameters with a login_hint template.',
  },
]
