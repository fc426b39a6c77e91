import type { Known, timesOf } from './lists-seed.ts'

/** First pages with their counts, as consoles ask. */
export function pathsOf(
  { user, client, rareClient, browser }: Known,
  { early, middle, late }: ReturnType<typeof timesOf>,
): string[] {
  const everySession = [
    '',
    'page[last]=10',
    `filter[user]=${user}`,
    'filter[status]=active',
    'filter[status]=finished',
    `filter[created-before]=${early}`,
    `filter[created-before]=${middle}`,
    `filter[created-after]=${middle}`,
    `filter[created-after]=${late}`,
    `filter[last-active-before]=${early}`,
    `filter[last-active-before]=${middle}`,
    `filter[last-active-after]=${middle}`,
    `filter[last-active-after]=${late}`,
    'sort=-last_active_at',
    'sort=-last_active_at&filter[status]=active',
    `sort=-last_active_at&filter[user]=${user}`,
    `filter[status]=active&filter[last-active-before]=${early}`,
  ]
  const asked: Record<string, string[]> = {
    '/users': [
      '',
      'page[last]=10',
      'count=only',
      'filter[admin]=true',
      'filter[admin]=false',
      'filter[legacy-guest]=true',
      'filter[status]=active',
      'filter[status]=locked',
      'filter[status]=deactivated',
      'filter[search]=anna',
      'filter[search]=a1b2c3',
      'filter[search]=nobody-has-this',
      'filter[search]=zz',
      'filter[search]=anna&filter[status]=locked',
      `filter[active-oauth2-client]=${client}`,
      `filter[active-oauth2-client]=${rareClient}`,
      'filter[has-active-oauth2-session]=true',
      'filter[has-active-oauth2-session]=false',
      'filter[has-active-compat-session]=true',
      'filter[has-active-compat-session]=false',
    ],
    '/user-emails': ['', `filter[user]=${user}`, 'filter[email]=user77@example.com'],
    '/user-sessions': everySession,
    '/compat-sessions': everySession,
    '/oauth2-sessions': [
      ...everySession,
      `filter[client]=${client}`,
      `filter[client]=${rareClient}`,
      'filter[client-kind]=static',
      'filter[client-kind]=dynamic',
      `filter[user-session]=${browser}`,
      'filter[scope]=openid',
      'filter[scope]=urn:mas:admin',
      'filter[scope]=urn:matrix:client:device:D000000077',
    ],
    '/oauth2-clients': [
      '',
      'filter[client-name]=app 77',
      'filter[client-uri]=app77.',
      'filter[client-kind]=static',
      'filter[grant-type]=authorization_code',
      'filter[has-active-sessions]=true',
      'filter[has-active-sessions]=false',
    ],
    '/audit-log': ['', 'filter[action]=deleteUser', `filter[target]=${user}`],
    '/events': ['', `filter[user]=${user}`, 'filter[kind]=code_replayed', 'filter[kind]=signed_in'],
  }
  return Object.entries(asked).flatMap(([path, queries]) =>
    queries.map((query) => (query === '' ? path : `${path}?${query}`)),
  )
}
