import {
  deleteUserVerification,
  type EmailVerificationRow,
  listOpenVerifications,
} from '../../sql/email-verifications.ts'
import type { Deps } from '../deps.ts'
import { RateLimited } from '../http/errors.ts'
import { type Params, readPageQuery } from '../http/params.ts'
import type { PathParams, Route } from '../http/route.ts'
import { checkEmail, foldEmail } from '../identity/email-address.ts'
import type { Claimant } from '../identity/email-verification.ts'
import {
  listEmailAddresses,
  mustKeepEmail,
  removeEmail,
  setPrimaryEmail,
  startAddingEmail,
} from '../identity/emails.ts'
import { readOwnForm } from '../identity/visit.ts'
import { addSeconds } from '../lib/clock.ts'
import { ulidFromUuid, uuidFromUlid } from '../lib/ulid.ts'
import type { FieldError, FieldErrors, FormError } from '../render/contexts.ts'
import type { AccountEmail } from '../render/contexts-email.ts'
import { accountPage, goTo, type Opened, openAccount, openFresh } from './area.ts'
import { PAGE, pageOf, readPage } from './paging.ts'

/** Seconds that an address waits for its code in the list. */
const PENDING = 3600
const GONE = { code: 'email_gone' }
const NOT_ALLOWED = { code: 'email_not_allowed' }

const mayChange = ({ config }: Deps): boolean => config.account.email_change_allowed

/** What a provider says is no change of one's own. */
export const mayProve = (deps: Deps, verification: Pick<EmailVerificationRow, 'from_provider'>): boolean =>
  verification.from_provider || mayChange(deps)

/** Who the mails of an account's own forms are for. */
export const claimantOf = ({ visit, session }: Opened): Claimant => ({
  username: session.username,
  lang: visit.lang,
  ...(session.time_zone !== null && { timeZone: session.time_zone }),
  requester: visit.requester,
})

async function addressesOf(deps: Deps, { session }: Opened): Promise<AccountEmail[]> {
  const rows = await listEmailAddresses(deps, session.user_id)
  return rows.map((row) => ({
    id: ulidFromUuid(row.id),
    email: row.email,
    main: row.main,
    added_at: row.created_at.toISOString(),
    removable: rows.length > 1 || !mustKeepEmail(deps),
  }))
}

/** GET /account/emails?page=: the addresses, and those that wait for their code. */
async function list(deps: Deps, request: Request): Promise<Response> {
  const opened = await openAccount(deps, request)
  return opened instanceof Response
    ? opened
    : listPage(deps, opened, { at: readPage(readPageQuery(request)) })
}

async function listPage(
  deps: Deps,
  opened: Opened,
  { at = 1, expired = false }: { at?: number; expired?: boolean },
): Promise<Response> {
  const addresses = await addressesOf(deps, opened)
  const offset = (at - 1) * PAGE
  const { shown, pager } = pageOf(at, addresses.slice(offset, offset + PAGE + 1))
  if (shown.length === 0 && at > 1) return goTo(deps, opened, 'emails')
  const since = addSeconds(deps.clock.now(), -PENDING)
  const own = new Set(addresses.map(({ email }) => foldEmail(email)))
  const open = await listOpenVerifications(deps.sql, opened.session.user_id, since)
  const pending = open.filter((one) => mayProve(deps, one) && !own.has(foldEmail(one.email)))
  const context = {
    emails: shown,
    several: addresses.length > 1,
    ...pager,
    pending: pending.map(({ id, email }) => ({ id: ulidFromUuid(id), email })),
    change_allowed: mayChange(deps),
  }
  return accountPage(deps, opened, 'emails', 'account_emails', context, { expired })
}

/** GET /account/emails/add, for somebody who proved lately who they are: with an address comes the way back in. */
async function showAdd(deps: Deps, request: Request): Promise<Response> {
  const opened = await openFresh(deps, request)
  if (opened instanceof Response) return opened
  return mayChange(deps) ? addPage(deps, opened, '') : goTo(deps, opened, 'emails', NOT_ALLOWED)
}

/** POST /account/emails/add: sends a code there (reference flows 5.4). */
async function add(deps: Deps, request: Request): Promise<Response> {
  const opened = await openFresh(deps, request)
  if (opened instanceof Response) return opened
  if (!mayChange(deps)) return goTo(deps, opened, 'emails', NOT_ALLOWED)
  const { form, own } = await readOwnForm(deps, opened.visit)
  const typed = form.email ?? ''
  if (!own) return addPage(deps, opened, typed, { formError: { code: 'expired_form' } })
  try {
    const started = await begin(deps, opened, form)
    if (typeof started !== 'string') return addPage(deps, opened, typed, { errors: { email: [started] } })
    return goTo(deps, opened, `emails/${ulidFromUuid(started)}/verify`)
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error
    const formError: FormError = { code: 'rate_limited', retry_after_seconds: error.retryAfter }
    return addPage(deps, opened, typed, { formError })
  }
}

/** The id of the verification, or what is wrong with the address. */
async function begin(deps: Deps, opened: Opened, form: Params): Promise<string | FieldError> {
  const checked = await checkEmail(deps, form.email ?? '', opened.visit.requester)
  if ('error' in checked) return checked.error
  const id = await startAddingEmail(deps, opened.session.user_id, checked.email, claimantOf(opened))
  return id ?? { code: 'already_yours' }
}

function addPage(
  deps: Deps,
  opened: Opened,
  email: string,
  { errors, formError }: { errors?: FieldErrors; formError?: FormError } = {},
): Response {
  const limited = formError?.code === 'rate_limited'
  return accountPage(
    deps,
    opened,
    'emails',
    'account_email_add',
    { form: { email, errors: errors ?? {}, ...(formError && { form_error: formError }) } },
    {
      status: limited ? 429 : errors || formError ? 422 : 200,
      retryAfter: formError?.retry_after_seconds,
    },
  )
}

/** POST /account/emails/{id}/primary: mail goes there from now on. */
async function makePrimary(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await openFresh(deps, request, 'emails')
  if (opened instanceof Response) return opened
  if (!mayChange(deps)) return goTo(deps, opened, 'emails', NOT_ALLOWED)
  const { own } = await readOwnForm(deps, opened.visit)
  if (!own) return listPage(deps, opened, { expired: true })
  const uuid = uuidFromUlid(id)
  const { user_id: userId } = opened.session
  const done =
    uuid !== undefined && (await setPrimaryEmail(deps, userId, uuid, { requester: opened.visit.requester }))
  return goTo(deps, opened, 'emails', done ? { code: 'email_primary' } : GONE)
}

/** GET /account/emails/{id}/remove: says what removing it means. */
async function confirmRemove(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await openFresh(deps, request)
  return opened instanceof Response ? opened : removePage(deps, opened, id)
}

async function removePage(deps: Deps, opened: Opened, id: string, expired = false): Promise<Response> {
  if (!mayChange(deps)) return goTo(deps, opened, 'emails', NOT_ALLOWED)
  const emails = await addressesOf(deps, opened)
  const target = emails.find((email) => email.id === id)
  if (!target) return goTo(deps, opened, 'emails', GONE)
  if (!target.removable) return goTo(deps, opened, 'emails', { code: 'email_last' })
  const context = { target, last: emails.length === 1 }
  return accountPage(deps, opened, 'emails', 'account_email_remove', context, { expired })
}

/** POST /account/emails/{id}/remove */
async function remove(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await openFresh(deps, request)
  if (opened instanceof Response) return opened
  if (!mayChange(deps)) return goTo(deps, opened, 'emails', NOT_ALLOWED)
  const { own } = await readOwnForm(deps, opened.visit)
  if (!own) return removePage(deps, opened, id, true)
  const uuid = uuidFromUlid(id)
  if (uuid === undefined) return goTo(deps, opened, 'emails', GONE)
  const result = await removeEmail(deps, opened.session.user_id, uuid, {
    keepLast: mustKeepEmail(deps),
    requester: opened.visit.requester,
  })
  return goTo(deps, opened, 'emails', { code: `email_${result}` })
}

/** POST /account/emails/{id}/cancel: an address that waits for its code is not wanted any more. */
async function cancel(deps: Deps, request: Request, { id = '' }: PathParams): Promise<Response> {
  const opened = await openAccount(deps, request)
  if (opened instanceof Response) return opened
  const { own } = await readOwnForm(deps, opened.visit)
  if (!own) return listPage(deps, opened, { expired: true })
  const uuid = uuidFromUlid(id)
  if (uuid !== undefined) await deleteUserVerification(deps.sql, uuid, opened.session.user_id)
  return goTo(deps, opened, 'emails')
}

export const accountEmailsRoutes = (deps: Deps): Route[] => [
  { method: 'GET', path: '/account/emails', handle: (request) => list(deps, request) },
  { method: 'GET', path: '/account/emails/add', handle: (request) => showAdd(deps, request) },
  { method: 'POST', path: '/account/emails/add', handle: (request) => add(deps, request) },
  {
    method: 'POST',
    path: '/account/emails/{id}/primary',
    handle: (request, params) => makePrimary(deps, request, params),
  },
  {
    method: 'GET',
    path: '/account/emails/{id}/remove',
    handle: (request, params) => confirmRemove(deps, request, params),
  },
  {
    method: 'POST',
    path: '/account/emails/{id}/remove',
    handle: (request, params) => remove(deps, request, params),
  },
  {
    method: 'POST',
    path: '/account/emails/{id}/cancel',
    handle: (request, params) => cancel(deps, request, params),
  },
]
