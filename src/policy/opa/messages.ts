/** What the server and the process that runs the operator's module say to each other. */

/** One evaluation. `data` comes along when it is other than at the last one. */
export interface Question {
  id: number
  entrypoint: string
  input: object
  data?: unknown
}

/** The first one tells how loading went, each other one answers a question. `error` is a sentence for the log. */
export type Answer =
  | { loaded: true; entrypoints: string[]; missing: string[] }
  | { loaded: false; error: string }
  | { id: number; result: unknown }
  | { id: number; error: string }
