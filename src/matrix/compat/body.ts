import type { Static, TObject } from '@sinclair/typebox'
import type { TypeCheck } from '@sinclair/typebox/compiler'
import { MatrixError } from '../../http/errors.ts'
import { mediaType, readText } from '../../http/params.ts'

/**
 * The JSON body of a request of the Matrix API. Members that are null count as absent, as Synapse has it; characters
 * that the database cannot hold become U+FFFD, which matches nothing.
 *
 * @throws MatrixError M_NOT_JSON, M_BAD_JSON, M_TOO_LARGE
 */
export async function readBody<T extends TObject>(
  request: Request,
  schema: TypeCheck<T>,
): Promise<Static<T>> {
  const type = mediaType(request)
  // Some clients send none.
  if (type !== '' && type !== 'application/json' && !type.endsWith('+json'))
    throw new MatrixError('M_NOT_JSON', 400, 'The body must be JSON.')
  const text = await readText(request)
  if (text === undefined) throw new MatrixError('M_TOO_LARGE', 413, 'The body is too large.')
  const body = parse(text)
  if (!schema.Check(body)) {
    const path = schema.Errors(body).First()?.path.slice(1).replaceAll('/', '.') ?? ''
    const what = path === '' ? 'The body' : `The member ${path}`
    throw new MatrixError('M_BAD_JSON', 400, `${what} is missing or not valid.`)
  }
  return body
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text, (_name, value: unknown) => {
      if (value === null) return undefined
      return typeof value === 'string' ? value.replaceAll('\0', '\ufffd').toWellFormed() : value
    })
  } catch {
    throw new MatrixError('M_NOT_JSON', 400, 'The body is not valid JSON.')
  }
}
