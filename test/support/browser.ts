/** A page as a browser without script sees it: its forms can be filled in and sent. */
export interface Page {
  url: URL
  status: number
  headers: Headers
  text: string
  /** Sends the form whose action contains `action` (the first one otherwise), with its hidden fields. */
  submit(
    fields: Record<string, string>,
    options?: { action?: string; button?: [string, string] },
  ): Promise<Page>
}

export interface Browser {
  /** Opens an address and follows redirects within the service. A redirect to elsewhere ends there: `page.url`. */
  open(address: string): Promise<Page>
  post(address: string, fields: Record<string, string>, headers?: Record<string, string>): Promise<Page>
  /** Sends a form with a file, as `multipart/form-data`. */
  upload(address: string, fields: Record<string, string | File>): Promise<Page>
  cookies: Map<string, string>
}

type Handle = (request: Request) => Promise<Response>

/** A cookie-jar browser on an application; `origin` is where the service lives. */
export function createBrowser(
  handle: Handle,
  options: { origin?: string; headers?: Record<string, string> } = {},
): Browser {
  const origin = options.origin ?? 'http://auth.test'
  const cookies = new Map<string, string>()
  const send = async (url: URL, init: RequestInit): Promise<Response> => {
    const headers = new Headers({ 'accept-language': 'en', ...options.headers, ...(init.headers as object) })
    if (cookies.size > 0)
      headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '))
    const response = await handle(new Request(url, { ...init, headers }))
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = cookie.split('; ')
      const at = pair.indexOf('=')
      if (attributes.includes('Max-Age=0')) cookies.delete(pair.slice(0, at))
      else cookies.set(pair.slice(0, at), pair.slice(at + 1))
    }
    return response
  }
  const follow = async (start: URL, init: RequestInit): Promise<Page> => {
    let url = start
    let response = await send(url, init)
    for (let hops = 0; response.status === 303 && hops < 10; hops++) {
      const next = new URL(response.headers.get('location') ?? '', url)
      if (next.origin !== origin) return toPage(next, response, '')
      url = next
      response = await send(url, {})
    }
    return toPage(url, response, await response.text())
  }
  const post = (url: URL, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    follow(url, {
      method: 'POST',
      body: new URLSearchParams(fields).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    })
  const toPage = (url: URL, response: Response, text: string): Page => ({
    url,
    status: response.status,
    headers: response.headers,
    text,
    submit(fields, { action, button } = {}) {
      const form = readForms(text).find(
        (candidate) => action === undefined || candidate.action.includes(action),
      )
      if (!form) throw new Error(`No form ${action ?? ''} on ${url.pathname}:\n${text.slice(0, 2000)}`)
      const target = new URL(form.action || url.href, url)
      return post(target, { ...form.hidden, ...fields, ...(button && { [button[0]]: button[1] }) })
    },
  })
  return {
    cookies,
    open: (address) => follow(new URL(address, origin), {}),
    upload: (address, fields) => {
      const body = new FormData()
      for (const [name, value] of Object.entries(fields)) body.append(name, value)
      return follow(new URL(address, origin), { method: 'POST', body })
    },
    post: (address, fields, headers) => post(new URL(address, origin), fields, headers),
  }
}

/** A form of a page: where it goes, its hidden fields, and the names of everything else that it sends. */
export interface FoundForm {
  action: string
  hidden: Record<string, string>
  names: string[]
}

export function readForms(html: string): FoundForm[] {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)].map(([, attributes = '', body = '']) => {
    const hidden: Record<string, string> = {}
    for (const [tag] of body.matchAll(/<input\b[^>]*type="hidden"[^>]*>/g)) {
      const name = attribute(tag, 'name')
      if (name) hidden[name] = attribute(tag, 'value')
    }
    const names = [...body.matchAll(/<(?:input|button|select|textarea)\b[^>]*\bname="([^"]+)"/g)].map(
      ([, name = '']) => name,
    )
    return {
      action: attribute(attributes, 'action'),
      hidden,
      names: names.filter((name) => !Object.hasOwn(hidden, name)),
    }
  })
}

/** Gives a browser the cookies of another one: the same person elsewhere, or before an answer came. */
export function copyCookies(from: Browser, to: Browser): Browser {
  for (const [name, value] of from.cookies) to.cookies.set(name, value)
  return to
}

/** What an attribute of a tag says; '' without it. */
export const attribute = (tag: string, name: string): string =>
  unescapeHtml(new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? '')

export const unescapeHtml = (text: string): string =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#x27;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&#x2f;', '/')
    .replaceAll('&amp;', '&')
