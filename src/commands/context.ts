import type { CommandContext, StricliProcess } from '@stricli/core'

/** What a command is given besides its arguments. */
export interface Context extends CommandContext {
  readonly process: StricliProcess
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: NodeJS.ReadStream
  /** Whether the log goes to a terminal, where a person reads it. */
  readonly isTerminal: boolean
  /** Aborts when the person or the system asks this process to end. */
  readonly signal: AbortSignal
  /** Allows a stop `seconds` more than usual, from now on. */
  stopTakes(seconds: number): void
  /** Calls `listener` at each SIGHUP from now on, which ends a process that nobody asks this for. */
  onHangup(listener: () => void): void
}

/** Why a command can't do what it was asked for: its message is one sentence for the person at the terminal. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** Prints a line on standard output. */
export const say = (context: Context, line: string): void => context.process.stdout.write(`${line}\n`)

/** Prints a line on standard error: what is for people and must not get into a script's data. */
export const note = (context: Context, line: string): void => void context.process.stderr.write(`${line}\n`)
