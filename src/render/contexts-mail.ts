import type { Branding, Instant } from './contexts.ts'

/**
 * What each mail is given. One typed view model a mail; its name is that of three templates, `views/emails/<name>`
 * with `.subject`, `.txt` and `.html`. The conventions of `contexts.ts` apply, but for one: a mail may hold a code or
 * a link that lets a person in. It is sealed until it is sent.
 */

/** What every mail is given besides its own context. */
export interface MailBase {
  lang: string
  dir: 'ltr' | 'rtl'
  branding: Branding
  server_name: string
  /** Address of the account area. */
  account_uri: string
  now: Instant
  /** IANA name of the recipient's zone; absent: UTC. */
  time_zone?: string
}

/** Something happened to an account. Texts: `security_event.<event>` and `mail.notice.<event>`. */
export interface SecurityNoticeMail {
  event: string
  username: string
  mxid: string
  at: Instant
  ip?: string
  /** For example "Firefox, Linux". */
  device?: string
  /** The people who run the server did it. */
  by_admin: boolean
  /** The address or the name that it was about, '' for none. */
  email: string
  name: string
}

/** Links with which a password can be set. One mail for all accounts of the address. */
export interface RecoveryMail {
  accounts: {
    mxid: string
    /** `waiting`: an admin has to approve it. `no_password`: it signs in through another service alone. */
    state: 'open' | 'locked' | 'waiting' | 'no_password'
    /** With `open`. */
    link?: string
  }[]
  /** How long the links work. */
  minutes: number
  /** When, from where and with what it was asked for. */
  at: Instant
  ip?: string
  device?: string
}

/** A code that proves an address. */
export interface VerificationMail {
  code: string
  /** How long it works. */
  minutes: number
  mxid: string
  /** For a new account, or for one that gets another address. */
  purpose: 'sign_up' | 'add'
  /** A provider says that the address is theirs; they did not ask for the code, which goes in there. */
  said?: { by: string; enter_uri: string }
  at: Instant
  ip?: string
  device?: string
}

/** An account will be deactivated, and with the link it will not. */
export interface DeactivationMail {
  mxid: string
  due_at: Instant
  link: string
  at: Instant
  ip?: string
  device?: string
}

/** Somebody wanted a code for the address of an account: its owner hears of it, and how to get in. */
export interface AddressInUseMail {
  accounts: string[]
  sign_in_uri: string
  /** Absent: passwords are not reset by mail here. */
  recover_uri?: string
  at: Instant
  ip?: string
  device?: string
}

/** An admin decided about a new account. */
export interface ApprovalMail {
  approved: boolean
  mxid: string
  /** When it was approved. */
  sign_in_uri?: string
}

/** An operator tries whether mail arrives. */
export type TestMail = Record<never, never>

/** Mail name to its view model. */
export interface MailContexts {
  security_notice: SecurityNoticeMail
  recovery: RecoveryMail
  verification: VerificationMail
  address_in_use: AddressInUseMail
  approval: ApprovalMail
  deactivation: DeactivationMail
  test: TestMail
}

export type MailName = keyof MailContexts

/** A mail as it goes out. */
export interface RenderedMail {
  subject: string
  text: string
  html: string
}
