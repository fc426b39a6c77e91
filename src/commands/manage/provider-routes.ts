import { buildCommand } from '@stricli/core'
import { aliases, flag, json, shared, text } from '../flags.ts'
import { changing } from './parameters.ts'

const oneProvider = {
  kind: 'tuple',
  parameters: [{ brief: 'The id of the provider', parse: String, placeholder: 'id' }],
} as const
const settings = {
  ...changing,
  file: text('YAML or JSON with the settings; standard input without it', 'path'),
} as const

/** `latchkey manage …-upstream-provider…`: providers besides those of the configuration. */
export const providerRoutes = {
  listUpstreamProviders: buildCommand({
    loader: () => import('./providers.ts').then((module) => module.listProviders),
    parameters: { flags: { ...shared, json }, aliases },
    docs: {
      brief: 'List the providers that people may sign in with',
      fullDescription: `Each line has, between tabs: id, name, whether it is offered, who made it (the configuration or the API), linked accounts.

Example: latchkey manage list-upstream-providers --json`,
    },
  }),
  createUpstreamProvider: buildCommand({
    loader: () => import('./providers.ts').then((module) => module.createProvider),
    parameters: { flags: settings, aliases },
    docs: {
      brief: 'Make a provider that people may sign in with, without a restart',
      fullDescription: `Takes what stands under one entry of upstream_oauth2.providers, in YAML or JSON; without an id it gets one. Running
servers offer it within two seconds. The configuration neither changes nor removes it. Prints its id.

Examples: latchkey manage create-upstream-provider --file google.yaml
          latchkey manage create-upstream-provider --dry-run <google.yaml`,
    },
  }),
  updateUpstreamProvider: buildCommand({
    loader: () => import('./providers.ts').then((module) => module.updateProvider),
    parameters: { flags: settings, aliases, positional: oneProvider },
    docs: {
      brief: 'Change a provider that was made here or by the admin API',
      fullDescription: `Takes the settings that change, in YAML or JSON. What is absent stays, the secret too; null takes a setting away.

Example: echo 'human_name: Example Ltd.' | latchkey manage update-upstream-provider 01JDFX2V9S6QK3W4Z5Y7T8R9PA`,
    },
  }),
  enableUpstreamProvider: buildCommand({
    loader: () => import('./providers.ts').then((module) => module.enableProvider),
    parameters: { flags: changing, aliases, positional: oneProvider },
    docs: {
      brief: 'Offer a provider again',
      fullDescription: 'Example: latchkey manage enable-upstream-provider 01JDFX2V9S6QK3W4Z5Y7T8R9PA',
    },
  }),
  disableUpstreamProvider: buildCommand({
    loader: () => import('./providers.ts').then((module) => module.disableProvider),
    parameters: { flags: changing, aliases, positional: oneProvider },
    docs: {
      brief: 'Take a provider away: its button is gone, and its links stay',
      fullDescription: 'Example: latchkey manage disable-upstream-provider 01JDFX2V9S6QK3W4Z5Y7T8R9PA',
    },
  }),
  deleteUpstreamProvider: buildCommand({
    loader: () => import('./providers.ts').then((module) => module.deleteProvider),
    parameters: {
      flags: { ...changing, links: flag('Delete the links of accounts to it too; the accounts stay') },
      aliases,
      positional: oneProvider,
    },
    docs: {
      brief: 'Delete a provider that was made here or by the admin API',
      fullDescription: `While accounts are linked to it, only with --links.

Example: latchkey manage delete-upstream-provider 01JDFX2V9S6QK3W4Z5Y7T8R9PA --links --dry-run`,
    },
  }),
}
