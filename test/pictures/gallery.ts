import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pageHeaders } from '../../src/http/headers.ts'
import { createUrls } from '../../src/http/urls.ts'
import { createAssets } from '../../src/render/assets.ts'
import { createViews } from '../../src/render/engine.ts'
import { renderSamples } from '../../src/render/render-samples.ts'
import { createTranslate } from '../../src/render/translate.ts'
import type { Visitor } from '../support/chromium.ts'

const VIEWS = join(import.meta.dirname, '..', '..', 'views')
/** The base path of the samples. */
const BASE = '/auth/'

/** A page or mail in one state and language. */
export interface State {
  /** `login.wrong-password`: page and state, one name for each. Mails are `mail-recovery.plain`. */
  name: string
  lang: string
  html: string
  url: string
  isMail: boolean
}

/** Every page and HTML mail in every state, served on loopback with the headers that pages have. */
export interface Gallery {
  languages: readonly string[]
  /** The states in one language. */
  states(lang: string): State[]
  stop(): void
}

const slug = (label: string): string =>
  label
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')

/** Renders all samples and serves them. */
export async function startGallery(): Promise<Gallery> {
  const translate = createTranslate({ directory: join(VIEWS, 'locales') })
  const assets = createAssets([join(VIEWS, 'static')], BASE)
  const views = createViews({ directory: VIEWS, translate })
  const states = new Map<string, State>()
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://127.0.0.1')
    const state = states.get(pathname)
    const asset = assets.get(pathname.replace(`${BASE}assets/`, ''))
    // What a form is sent to: the browser stays on the page.
    if (request.method !== 'GET') return response.writeHead(204).end()
    if (state) return response.writeHead(200, headersOf(state, origin)).end(state.html)
    if (asset) return response.writeHead(200, { 'content-type': asset.contentType }).end(asset.bytes)
    if (pathname.startsWith(`${BASE}account/picture`))
      return response.writeHead(200, { 'content-type': 'image/svg+xml' }).end(PICTURE)
    return response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  for (const { template, label, lang, parts, fault } of renderSamples(views, {
    languages: translate.names,
    asset: assets.url,
  })) {
    // A page that sends itself on is shown as it is for who has no script.
    const html = parts?.html?.replace(' data-auto-submit', '')
    if (html === undefined) throw new Error(`${template}, ${label}, ${lang}: not rendered`, { cause: fault })
    const isMail = template.startsWith('emails/')
    const base = `${isMail ? 'mail-' : ''}${template.replace(/^\w+\//, '')}.${slug(label)}`
    let name = base
    for (let count = 2; states.has(`${BASE}${lang}/${name}`); count++) name = `${base}-${count}`
    const path = `${BASE}${lang}/${name}`
    states.set(path, { name, lang, html, isMail, url: origin + path })
  }
  return {
    languages: translate.languages,
    states: (lang) => [...states.values()].filter((state) => state.lang === lang),
    stop: () => void server.close(),
  }
}

/** Answers for the hosts of the samples: logos are there, and what would leave the page stays on it. */
export async function playHosts({ page }: Pick<Visitor, 'page'>): Promise<void> {
  await page
    .context()
    .route(/^https?:\/\/(?!127\.0\.0\.1)/, (route) =>
      route.request().resourceType() === 'image'
        ? route.fulfill({ contentType: 'image/svg+xml', body: LOGO })
        : route.fulfill({ status: 204 }),
    )
}

function headersOf({ isMail, name }: State, origin: string): Record<string, string> {
  // Mail programs show mails by rules of their own.
  if (isMail) return { 'content-type': 'text/html; charset=utf-8' }
  const urls = createUrls({ public_base: origin + BASE, issuer: origin + BASE })
  const images = ['https://example.org/']
  const formAction = name.startsWith('form_post') || name.startsWith('upstream_relay') ? false : []
  const thirdParty = name.startsWith('register.')
    ? { script: ['https://captcha.example.org'], frame: [] }
    : undefined
  const frames = name.startsWith('account_plan') ? ['https://plan.example.org'] : []
  return Object.fromEntries(
    pageHeaders(urls, { images, formAction, frames, ...(thirdParty && { thirdParty }) }),
  )
}

const LOGO =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><rect width="48" height="48" fill="#28479c"/><path d="M10 30 24 14l14 16z" fill="#fff"/></svg>'
const PICTURE =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><rect width="48" height="48" fill="#b9d8cf"/><circle cx="24" cy="19" r="8" fill="#143f39"/><path d="M8 48c2-12 10-16 16-16s14 4 16 16z" fill="#143f39"/></svg>'
