/**
 * Loaded before a server whose clock jumps: the wall clock as a file says it, in seconds of difference. As when somebody
 * sets the clock of a machine, what counts time (timers, `performance.now`) goes on evenly.
 */
import { readFileSync } from 'node:fs'

const file = process.env.FAULT_CLOCK_FILE ?? ''
const Real = Date
let offset = 0
let read = 0

function now(): number {
  const ticks = performance.now()
  if (ticks - read > 20) {
    read = ticks
    offset = Number(readFileSync(file, 'utf8')) * 1000
  }
  return Real.now() + offset
}

class Skewed extends Real {
  constructor(...args: unknown[]) {
    if (args.length === 0) super(now())
    else super(...(args as ConstructorParameters<typeof Date>))
  }
  static override now = now
}

globalThis.Date = Skewed as DateConstructor
