import { type Static, type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox'

/**
 * The words that the schema is written in. A key with a default is always there after loading, so its type is
 * not optional; a key without one is optional. `url` and `hint` are read by validate.ts: the kind of URL that
 * is meant, and what to say when the value does not fit. Descriptions end up in the JSON Schema and in the docs.
 */

/** Yes or no. */
export const bool = (value: boolean, description: string) => Type.Boolean({ default: value, description })

/** Text that may be absent. An empty text counts as a mistake. */
export const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))

/** Text with a default. */
export const textOr = (value: string, description: string) =>
  Type.String({ minLength: 1, default: value, description })

/** Text that must be given. */
export const needText = (description: string) => Type.String({ minLength: 1, description })

/** An absolute URL that may be absent. `base` has no query and fragment, `any` also takes private schemes. */
export const url = (description: string, kind: 'base' | 'http' | 'any' = 'http') =>
  Type.Optional(Type.String({ url: kind, description }))

/** A whole number within bounds, with a default. */
export const int = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description })

/** A share between 0 and 1. */
export const share = (value: number, description: string) =>
  Type.Number({ default: value, minimum: 0, maximum: 1, description })

const choices = <const T extends string[]>(values: T, options: object) =>
  Type.Unsafe<T[number]>(Type.Union(values.map((value) => Type.Literal(value)) as TSchema[], options))

/** One of a few words, with a default. */
export const oneOf = <const T extends string[]>(values: T, value: T[number], description: string) =>
  choices(values, { default: value, description })

/** One of a few words, or absent. */
export const maybeOneOf = <const T extends string[]>(values: T, description: string) =>
  Type.Optional(choices(values, { description }))

/** One of a few words that must be given. */
export const needOneOf = <const T extends string[]>(values: T, description: string) =>
  choices(values, { description })

/** A ULID that must be given. */
export const ulid = (description: string) =>
  Type.String({
    pattern: '^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$',
    hint: 'a ULID (26 letters and digits, for example 01JAYS74TCG3BTWKADN5Q4518C)',
    description,
  })

/** A list with a default. */
export const list = <T extends TSchema>(items: T, value: Static<T>[], description: string) =>
  Type.Array(items, { default: value, description })

/** A mapping whose keys are all known. */
export const fields = <T extends TProperties>(properties: T, description?: string): TObject<T> =>
  Type.Object(properties, { additionalProperties: false, ...(description ? { description } : {}) })

/** A mapping whose keys are all known, and which is there even if the file leaves it out. */
export const section = <T extends TProperties>(properties: T, description: string): TObject<T> =>
  Type.Object(properties, { additionalProperties: false, default: {}, description })

/** Who is let in, and who may administer: expressions over what a provider's claims or a directory's entry (`over`) say. */
export const admission = (over: string) => ({
  allow_if: text(
    `Who is let in: an expression over ${over}, in the language of the templates, such as \`"staff" in user.groups\`. Asked at every sign-in.`,
  ),
  allow_if_message: text('What those read whom `allow_if` turns away.'),
  allow_if_messages: Type.Optional(
    Type.Record(Type.String(), Type.String({ minLength: 1 }), {
      description: 'The same by language (`de`, `fr`), for those who read one of these.',
    }),
  ),
  admin_if: text(
    'Who may administer: an expression as in `allow_if`. At every sign-in it gives the right, or takes it away.',
  ),
})

/** A mapping of the operator's own keys. */
export const freeForm = (description: string) => Type.Record(Type.String(), Type.Unknown(), { description })
