import type { Config } from '../config/schema.ts'
import type { Branding } from '../render/contexts.ts'

/** Name, look and links of the operator, as pages and mails are given them. */
export function brandingOf({ branding, matrix }: Pick<Config, 'branding' | 'matrix'>): Branding {
  const { colours, service_name: name, tos_version: _, ...links } = branding
  return {
    ...links,
    service_name: name ?? matrix.homeserver,
    ...(colours.accent !== undefined && { accent: colours.accent }),
  }
}
