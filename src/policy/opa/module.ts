import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Overloaded } from '../../lib/overloaded.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Answer } from './messages.ts'

/** Milliseconds that a module may take to load, and for one question. */
const LOAD_LIMIT = 10_000
const EVALUATE_LIMIT = 1_000
/** Milliseconds after which a question that still waits for its turn is given up, and how many may wait. */
const WAIT_LIMIT = 5_000
const QUEUE_LIMIT = 100

const PROCESS = fileURLToPath(new URL('./process.ts', import.meta.url))

/** The operator's module could not be used, or did not answer: nothing is allowed then. A sentence for the operator. */
export class PolicyModuleError extends Error {
  override readonly name = 'PolicyModuleError'
}

/** The operator's module, in a process of its own. */
export interface OpaModule {
  /**
   * What an entry point says to `input` under `data`, which is sent again only when it is another object than before.
   *
   * @throws PolicyModuleError; Overloaded when too many wait
   */
  evaluate(entrypoint: string, input: object, data: unknown): Promise<unknown>
  /** Loads it, and finds out whether it has these entry points. @throws PolicyModuleError */
  check(entrypoints: readonly string[]): Promise<void>
  stop(): void
}

interface Runner {
  process: ChildProcess
  loaded: Promise<{ entrypoints: string[]; missing: string[] }>
  /** Asks one question; rejects when there is no answer in time. */
  ask(question: object): Promise<unknown>
  data: unknown
}

/** The module in the file `path`. It is loaded at the first question, and again after it failed. */
export function createOpaModule(options: { path: string; log: Log }): OpaModule {
  const { path, log } = options
  const broken = (reason: string, cause?: unknown) =>
    new PolicyModuleError(`policy.wasm_module: ${path} ${reason}.`, { cause })
  let runner: Runner | undefined
  // One at a time: a module has one memory.
  let turn = Promise.resolve()
  let waiting = 0
  let questions = 0

  const start = (): Runner => {
    const started = startRunner(path)
    // It must not keep a command alive that is done.
    started.process.unref()
    started.process.once('exit', () => {
      if (runner === started) runner = undefined
    })
    return started
  }
  const drop = (failed: Runner) => {
    if (runner === failed) runner = undefined
    failed.process.kill('SIGKILL')
  }
  const loaded = async (one: Runner) => {
    try {
      return await one.loaded
    } catch (cause) {
      drop(one)
      throw broken(`can't be used: ${(cause as Error).message}`, cause)
    }
  }
  const ready = async (): Promise<Runner> => {
    runner ??= start()
    const current = runner
    await loaded(current)
    return current
  }
  const verify = async (one: Runner, entrypoints: readonly string[]): Promise<void> => {
    const { entrypoints: has, missing } = await loaded(one)
    const lacks = entrypoints.find((name) => !has.includes(name))
    if (lacks !== undefined)
      throw broken(`has no entry point ${lacks}; it has ${has.length === 0 ? 'none' : has.join(', ')}`)
    if (missing.length > 0) throw broken(`calls what Latchkey does not provide: ${missing.join(', ')}`)
  }
  const evaluateNow = async (entrypoint: string, input: object, data: unknown): Promise<unknown> => {
    const current = await ready()
    const isNew = current.data !== data
    current.data = data
    try {
      return await current.ask({ id: ++questions, entrypoint, input, ...(isNew && { data }) })
    } catch (cause) {
      // Whatever happened inside may have left it half way.
      drop(current)
      log.error('policy.module_failed', { entrypoint, error: cause })
      throw broken(`failed at ${entrypoint}: ${(cause as Error).message}`, cause)
    }
  }

  const inTurn = async <T>(act: () => Promise<T>): Promise<T> => {
    if (waiting >= QUEUE_LIMIT) throw new Overloaded('too many questions wait for the policy module')
    waiting++
    const before = turn
    const { promise: done, resolve: finish } = Promise.withResolvers<void>()
    turn = before.then(() => done)
    try {
      await ownTurn(before)
      return await act()
    } finally {
      waiting--
      finish()
    }
  }

  return {
    evaluate: (entrypoint, input, data) => inTurn(() => evaluateNow(entrypoint, input, data)),
    check: async (entrypoints) => verify(await ready(), entrypoints),
    stop() {
      if (runner) drop(runner)
    },
  }
}

/** Waits for the questions before. @throws Overloaded when they take too long */
async function ownTurn(before: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Overloaded('the policy module has too much to do')),
    WAIT_LIMIT,
  )
  try {
    await Promise.race([before, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function startRunner(path: string): Runner {
  // Nothing of our environment: it holds secrets.
  const child = fork(PROCESS, [path], { env: {}, execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  let answered: (answer: Answer) => void = () => {}
  let gone: (error: Error) => void = () => {}
  child.on('message', (answer) => answered(answer as Answer))
  child.on('error', (error) => gone(error))
  child.once('exit', (code, signal) => gone(new Error(`its process ended (${signal ?? code})`)))
  const next = (limit: number): Promise<Answer> => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    answered = resolve
    gone = reject
    const timer = setTimeout(() => reject(new Error(`it took longer than ${limit / 1000} s`)), limit)
    return promise.finally(() => clearTimeout(timer))
  }
  const loaded = next(LOAD_LIMIT).then((answer) => {
    if ('loaded' in answer && answer.loaded) return answer
    throw new Error('error' in answer ? answer.error : 'it did not load')
  })
  // Whoever waits for it hears of it; nobody may.
  loaded.catch(() => {})
  return {
    process: child,
    loaded,
    async ask(question) {
      const answer = next(EVALUATE_LIMIT)
      try {
        child.send(question)
      } catch (error) {
        // It has just ended.
        gone(error as Error)
      }
      const given = await answer
      if ('result' in given) return given.result
      throw new Error('error' in given ? given.error : 'it did not answer')
    },
    data: undefined,
  }
}
