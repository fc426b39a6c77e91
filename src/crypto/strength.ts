import type { Strength } from './strength-options.ts'

let check: Promise<ReturnType<typeof import('./strength-options.ts').createStrengthCheck>> | undefined

/**
 * Loads the word lists (0.1 to 0.4 s and tens of megabytes), which otherwise the first password pays for. A
 * server calls it some time after it reported ready, and only where passwords can be chosen. Rejects like import().
 */
export async function warmStrength(): Promise<void> {
  await load()
}

/**
 * The strength of `password` (its first 128 characters), with `penalised` (username, email address, server name)
 * counting as words an attacker tries first. The keys in the answer are translated by the caller.
 */
export async function passwordStrength(password: string, penalised: readonly string[]): Promise<Strength> {
  return (await load())(password, penalised)
}

// Kept as a promise so that requests which arrive meanwhile share one load.
function load(): NonNullable<typeof check> {
  check ??= import('./strength-options.ts').then(({ createStrengthCheck }) => createStrengthCheck())
  return check
}
