import { type TObject, type TSchema, type TUnsafe, Type } from '@sinclair/typebox'
import { PAGE_LIMIT, PAGE_SIZE } from './page.ts'

/** Schemas that several resources share. `errorMessage` is what a caller reads when a value does not fit. */

export const Ulid = (description = 'A ULID.') =>
  Type.String({
    pattern: '^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$',
    description,
    examples: ['01HZX1V2E3Q4R5S6T7V8W9XAYB'],
    errorMessage: 'It must be a ULID: 26 letters and digits.',
  })

export const Time = (description: string) =>
  Type.String({
    format: 'date-time',
    pattern: '^\\d{4}-\\d\\d-\\d\\d[Tt]\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?([Zz]|[+-]\\d\\d:\\d\\d)$',
    description,
    examples: ['2026-11-24T12:00:00Z'],
    errorMessage: 'It must be a time such as 2026-11-24T12:00:00Z.',
  })

export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

/** One of a few words. */
export const oneOf = <const T extends readonly string[]>(words: T, description: string): TUnsafe<T[number]> =>
  Type.Union(
    words.map((word) => Type.Literal(word)),
    { description, errorMessage: `It must be one of: ${words.join(', ')}.` },
  ) as unknown as TUnsafe<T[number]>

const Size = Type.Optional(
  Type.Integer({
    minimum: 1,
    description: `Items of a page: ${PAGE_SIZE} when absent, ${PAGE_LIMIT} at most.`,
    errorMessage: 'It must be a whole number from 1 on.',
  }),
)

/** The query of a list: its filters, and the page. */
export const listQuery = <T extends Record<string, TSchema>>(filters: T) =>
  Type.Object({
    ...filters,
    'page[first]': Size,
    'page[last]': Size,
    'page[after]': Type.Optional(Ulid('Begin after this item.')),
    'page[before]': Type.Optional(Ulid('End before this item.')),
    count: Type.Optional(
      oneOf(
        ['true', 'false', 'only', 'exact'],
        'Whether the answer says how many items there are; `only` leaves them out. Many (from 1,000 or 5,000 on, as it takes) are estimated, ' +
          'unless it is `exact`, which takes its time.',
      ),
    ),
  })

export const NoQuery = Type.Object({})

const Links = Type.Object({
  self: Type.String({ examples: ['/api/admin/v1/users/01HZX1V2E3Q4R5S6T7V8W9XAYB'] }),
})

/** A resource in its envelope. */
export const resourceOf = (type: string, attributes: TObject) =>
  Type.Object({ type: Type.Literal(type), id: Ulid(), attributes, links: Links })

/** The answer that is one resource. */
export const singleOf = (resource: TObject) => Type.Object({ data: resource, links: Links })

/** The answer that is a list. */
export const listOf = (resource: TObject) =>
  Type.Object({
    meta: Type.Optional(
      Type.Object({
        count: Type.Optional(Type.Integer()),
        count_estimated: Type.Optional(
          Type.Literal(true, { description: 'There are about as many. Absent when they were counted.' }),
        ),
      }),
    ),
    data: Type.Optional(
      Type.Array(
        Type.Composite([
          resource,
          Type.Object({ meta: Type.Object({ page: Type.Object({ cursor: Ulid() }) }) }),
        ]),
      ),
    ),
    links: Type.Object({
      self: Type.String(),
      first: Type.Optional(Type.String()),
      last: Type.Optional(Type.String()),
      next: Type.Optional(Type.String()),
      prev: Type.Optional(Type.String()),
    }),
  })

/** What every error is. */
export const Errors = Type.Object({
  errors: Type.Array(
    Type.Object({
      title: Type.String({ description: 'What is wrong, for people.' }),
      code: Type.String({ description: 'What is wrong, for scripts.' }),
      detail: Type.Optional(Type.String({ description: 'More about it, or what to do.' })),
      source: Type.Optional(
        Type.Object({
          pointer: Type.Optional(Type.String({ description: 'Where in the body (RFC 6901).' })),
          parameter: Type.Optional(Type.String({ description: 'Which parameter.' })),
        }),
      ),
      reference: Type.Optional(Type.String({ description: 'What the log of the server has it under.' })),
    }),
  ),
})
