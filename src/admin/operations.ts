import type { Operation } from './operation.ts'
import { serverOperations } from './server.ts'
import { userOperations } from './users.ts'

/** Every operation of the admin API, in the order of the document. */
export const OPERATIONS: readonly Operation[] = [...userOperations, ...serverOperations]
