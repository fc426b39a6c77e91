import { attribute, unescapeHtml } from './browser.ts'

/** A field of a form as it stands on a page. */
export interface Control {
  name: string
  kind: 'text' | 'password' | 'check' | 'choice' | 'hidden' | 'file' | 'button'
  /** `type` of an input. */
  type: string
  value: string
  checked: boolean
  /** Of a choice. */
  options: string[]
}

/** A form with everything that it sends; of several buttons the first. */
export interface SentForm {
  action: string
  hasFile: boolean
  controls: Control[]
  button: Record<string, string>
}

/** The forms of a page with what is filled in. */
export const readControls = (html: string): SentForm[] =>
  [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)].map(([, attributes = '', body = '']) => {
    const fields = [
      ...body.matchAll(/<(input|textarea|select)\b([^>]*)>(?:([\s\S]*?)<\/(?:textarea|select)>)?/g),
    ]
    const button = /<button\b([^>]*\bname="[^"]+"[^>]*)>/.exec(body)?.[1]
    return {
      action: attribute(attributes, 'action'),
      hasFile: attributes.includes('multipart/form-data'),
      controls: fields.flatMap(([, tag = '', of = '', inner = '']) => controlOf(tag, of, inner)),
      button: button === undefined ? {} : { [attribute(button, 'name')]: attribute(button, 'value') },
    }
  })

function controlOf(tag: string, attributes: string, inner: string): Control[] {
  const name = attribute(attributes, 'name')
  if (name === '') return []
  const type = tag === 'input' ? attribute(attributes, 'type') || 'text' : tag
  const base = { name, type, checked: false, options: [] as string[] }
  if (tag === 'select') {
    const options = [...inner.matchAll(/<option\b([^>]*)>([^<]*)/g)].map(([, of = '', text = '']) => ({
      value: / value="/.test(of) ? attribute(of, 'value') : unescapeHtml(text.trim()),
      selected: /\bselected\b/.test(of),
    }))
    const chosen = options.find(({ selected }) => selected) ?? options[0]
    return [
      { ...base, kind: 'choice', value: chosen?.value ?? '', options: options.map(({ value }) => value) },
    ]
  }
  if (tag === 'textarea') return [{ ...base, kind: 'text', value: unescapeHtml(inner) }]
  // What nobody can change: a name beside a password, for managers of passwords.
  if (/\breadonly\b/.test(attributes))
    return [{ ...base, kind: 'hidden', value: attribute(attributes, 'value') }]
  const checked = /\bchecked\b/.test(attributes)
  const value = attribute(attributes, 'value')
  if (type === 'checkbox' || type === 'radio') return [{ ...base, kind: 'check', value, checked }]
  if (type === 'hidden' || type === 'password' || type === 'file') return [{ ...base, kind: type, value }]
  return [{ ...base, kind: 'text', value }]
}
