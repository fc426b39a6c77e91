import type { Static, TObject, TSchema } from '@sinclair/typebox'
import type { Deps } from '../deps.ts'
import type { Requester } from '../http/requester.ts'
import type { AdminArea } from '../lib/admin-scope.ts'
import type { Caller } from './caller.ts'

/** What a handler is given: everything is checked, ids in the path are uuids. */
export interface Call<Query = unknown, Body = unknown> {
  deps: Deps
  caller: Caller
  requester: Requester
  /** Named as in the path: `id`, `username`. */
  params: Readonly<Record<string, string>>
  query: Query
  body: Body
  /** The address that was called, without the host, and what it was asked with. */
  url: { path: string; search: URLSearchParams }
}

/** A resource that was changed. */
export interface Target {
  type: string
  /** ULID. */
  id: string
}

/** What a handler answers; no body for 204. */
export interface Reply {
  status?: 200 | 201 | 204
  body?: unknown
  /** What was changed, for the audit log: the type and id (ULID) of the resource. */
  target?: Target | undefined
  /** Where there are several of one type, or none: a dry run leaves no trace. */
  targets?: readonly Target[]
}

/** One way in which an operation refuses: its code, and when. In the OpenAPI document under its status. */
export interface Refusal {
  status: 400 | 403 | 404 | 409 | 410 | 422
  code: string
  when: string
}

/** An operation of the admin API: what validates a request is what documents it. */
export interface Operation<Query extends TObject = TObject, Body extends TSchema = TSchema> {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below `/api/admin/v1`: `/users/{id}`. */
  path: string
  /** Its name in the OpenAPI document and in the audit log: `lockUser`. */
  id: string
  area: AdminArea
  /** The scope of the area is not enough: whoever may do this could give themselves every other right. */
  everythingOnly?: true
  summary: string
  description?: string
  query?: Query
  body?: Body
  /** A request without a body is one with `{}`. */
  bodyOptional?: boolean
  /** What success looks like; `schema` is absent for 204. */
  success: { status: 200 | 201 | 204; description: string; schema?: TSchema; example?: unknown }
  refusals?: readonly Refusal[]
  handle(call: Call<Static<Query>, Static<Body>>): Promise<Reply>
}

/** Whether it makes something, so that asking twice would make two. */
export const isCreation = (operation: Operation): boolean => operation.success.status === 201

/** Checks the types of an operation, and forgets them, so that operations of all kinds fit into one list. */
export const operation = <Query extends TObject, Body extends TSchema>(
  definition: Operation<Query, Body>,
): Operation => definition as unknown as Operation
