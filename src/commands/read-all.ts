import { CommandError, type Context } from './context.ts'
import { aborted } from './stopping.ts'

/** Everything that standard input holds. @throws CommandError when the command is interrupted meanwhile */
export async function readAll({ stdin, signal }: Pick<Context, 'stdin' | 'signal'>): Promise<string> {
  const text = await Promise.race([collect(stdin), aborted(signal)])
  if (text === undefined) throw new CommandError('Interrupted; nothing was changed.')
  return text
}

async function collect(stream: AsyncIterable<Uint8Array | string>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of stream)
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
  return text + decoder.decode()
}
