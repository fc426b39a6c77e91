import { buildCommand, buildRouteMap } from '@stricli/core'
import { aliases, configOnly, flag, shared, text } from './flags.ts'

const file = (brief: string) =>
  ({ kind: 'tuple', parameters: [{ brief, parse: String, placeholder: 'file' }] }) as const

/** `latchkey database …`. */
export const databaseRoutes = buildRouteMap({
  routes: {
    migrate: buildCommand({
      loader: () => import('./database.ts').then((module) => module.migrateCommand),
      parameters: configOnly,
      docs: { brief: 'Bring the database up to date', fullDescription: 'Example: latchkey database migrate' },
    }),
    status: buildCommand({
      loader: () => import('./database.ts').then((module) => module.statusCommand),
      parameters: configOnly,
      docs: {
        brief: 'Show which migrations are still to be applied',
        fullDescription: 'Example: latchkey database status',
      },
    }),
    backup: buildCommand({
      loader: () => import('./backup/command.ts').then((module) => module.backupCommand),
      parameters: { ...configOnly, positional: file('The file to write, which must not exist') },
      docs: {
        brief: 'Write everything that the database holds into one file',
        fullDescription: `Servers may go on meanwhile: the file has the state of one moment. Needs no programs of PostgreSQL, and works for
the embedded database and any other. Keep the configuration too: without its secrets the file is of little use.

Example: latchkey database backup latchkey-$(date +%F).backup`,
      },
    }),
    upgrade: buildCommand({
      loader: () => import('./backup/upgrade.ts').then((module) => module.upgradeCommand),
      parameters: {
        flags: {
          ...shared,
          binaries: text('Where the programs of the old version of PostgreSQL are', 'folder'),
        },
        aliases,
      },
      docs: {
        brief: 'Bring the embedded database to the version of PostgreSQL that this release has',
        fullDescription: `Stop Latchkey first. Needed when a start says that another major version of PostgreSQL made the database. Everything
is copied into a new one and counted on both sides, then the new one takes the place of the old one, which is kept beside
it. Broken off at any point, it is run again. The programs of the old version are needed once: without --binaries they are
looked for where systems have them, and where they are missing the command says how to get them.

Examples: latchkey database upgrade
          latchkey database upgrade --binaries postgresql-17`,
      },
    }),
    restore: buildCommand({
      loader: () => import('./backup/command.ts').then((module) => module.restoreCommand),
      parameters: {
        flags: { ...shared, replace: flag('Put it in place of what the database holds, which is lost') },
        aliases,
        positional: file('A file that database backup wrote'),
      },
      docs: {
        brief: 'Bring a backup back',
        fullDescription: `Stop every server and worker first. The backup may come from an older release: the database is brought up to date
afterwards. All of it comes back, or nothing is changed.

Examples: latchkey database restore latchkey-2026-11-24.backup
          latchkey database restore --replace latchkey-2026-11-24.backup`,
      },
    }),
  },
  docs: { brief: 'Care for the database' },
})
