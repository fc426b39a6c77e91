import {
  type Counter,
  createRegistry,
  type Family,
  type Gauge,
  type Histogram,
  type Registry,
} from './metrics.ts'

/** Everything that is counted while Latchkey runs. Names are MAS's where it has one (reference operations 8.1). */
export interface Metrics {
  registry: Registry
  /** Everything there is to read: of this process, or, of one among several, of all of them together. */
  read: () => Promise<Family[]>
  requests: Histogram
  requestsUnderWay: Gauge
  calls: Histogram
  jobs: Histogram
  jobsUnderWay: Gauge
  introspections: Counter
  tokenRequests: Counter
  passwordLogins: Counter
  passwordRegistrations: Counter
  clientRegistrations: Counter
  legacyLogins: Counter
  legacyLogouts: Counter
  legacyLogoutsEverywhere: Counter
  upstreamCallbacks: Counter
  upstreamLogins: Counter
  upstreamRegistrations: Counter
  activityNotes: Counter
  activityFlushes: Histogram
  queueTicks: Histogram
  queueWakeups: Counter
  connections: Histogram
  callsUnderWay: Gauge
  limitHits: Counter
  policyDenials: Counter
  mails: Counter
  events: Counter
}

/** Fresh instruments of one process. */
export function createMetrics(): Metrics {
  const registry = createRegistry()
  return {
    registry,
    read: () => registry.read(),
    requests: registry.histogram({
      name: 'http.server.duration',
      unit: 'ms',
      help: 'How long requests took.',
      labels: ['http.request.method', 'http.route', 'http.response.status_code', 'mas.listener.name'],
    }),
    requestsUnderWay: registry.gauge({
      name: 'http.server.active_requests',
      help: 'Requests that are being answered.',
    }),
    calls: registry.histogram({
      name: 'http.client.request.duration',
      unit: 'ms',
      help: 'How long the homeserver took to answer.',
      labels: ['http.request.method', 'server.address', 'http.response.status_code'],
    }),
    jobs: registry.histogram({
      name: 'job.process.duration',
      unit: 'ms',
      help: 'How long jobs took.',
      labels: ['job.queue.name', 'job.result', 'job.decision'],
    }),
    jobsUnderWay: registry.gauge({
      name: 'job.active_tasks',
      help: 'Jobs that run.',
      labels: ['job.queue.name'],
    }),
    introspections: registry.counter({
      name: 'mas.oauth2.introspection_request',
      help: 'Questions about tokens.',
      labels: ['kind', 'active'],
    }),
    tokenRequests: registry.counter({
      name: 'mas.oauth2.token_request',
      help: 'Requests for tokens.',
      labels: ['grant_type', 'result'],
    }),
    passwordLogins: registry.counter({
      name: 'mas.user.password_login_attempt',
      help: 'Passwords that were checked.',
      labels: ['result'],
    }),
    passwordRegistrations: registry.counter({
      name: 'mas.user.password_registration',
      help: 'Accounts that people made with a password.',
    }),
    clientRegistrations: registry.counter({
      name: 'mas.oauth2.registration_request',
      help: 'Apps that registered themselves.',
      labels: ['result'],
    }),
    legacyLogins: registry.counter({
      name: 'mas.compat.login_request',
      help: 'Logins of older apps.',
      labels: ['type', 'result'],
    }),
    legacyLogouts: registry.counter({
      name: 'mas.compat.logout_request',
      help: 'Older apps that signed out.',
      labels: ['result'],
    }),
    legacyLogoutsEverywhere: registry.counter({
      name: 'mas.compat.logout_all_request',
      help: 'Older apps that ended every session of older apps.',
      labels: ['result'],
    }),
    upstreamCallbacks: registry.counter({
      name: 'mas.upstream_oauth2.callback',
      help: 'People who came back from a provider.',
      labels: ['provider', 'result'],
    }),
    upstreamLogins: registry.counter({
      name: 'mas.upstream_oauth2.login',
      help: 'Sign-ins through a provider.',
      labels: ['provider'],
    }),
    upstreamRegistrations: registry.counter({
      name: 'mas.upstream_oauth2.registration',
      help: 'Accounts that were made through a provider.',
      labels: ['provider'],
    }),
    activityNotes: registry.counter({
      name: 'mas.activity_tracker.messages',
      help: 'Sessions that were seen (record), and writes of them (flush).',
      labels: ['type', 'session_kind'],
    }),
    activityFlushes: registry.histogram({
      name: 'mas.activity_tracker.flush_time',
      unit: 'ms',
      help: 'How long it took to write down when sessions were last seen.',
      labels: ['result'],
    }),
    queueTicks: registry.histogram({
      name: 'job.worker.tick_duration',
      unit: 'ms',
      help: 'How long the queue took to look for jobs.',
    }),
    queueWakeups: registry.counter({
      name: 'job.worker.wakeups',
      help: 'Looks for jobs: after a pause (sleep), or after a job that was there (task).',
      labels: ['reason'],
    }),
    connections: registry.histogram({
      name: 'db.client.connections.create_time',
      unit: 'ms',
      help: 'How long new connections to the database took.',
    }),
    callsUnderWay: registry.gauge({
      name: 'http.client.active_requests',
      help: 'Calls to the homeserver that wait for an answer.',
    }),
    limitHits: registry.counter({
      name: 'latchkey.limit.hits',
      help: 'Requests that were refused since there were too many.',
      labels: ['limit'],
    }),
    policyDenials: registry.counter({
      name: 'latchkey.policy.denials',
      help: 'What the policy refused, by what was asked.',
      labels: ['entrypoint'],
    }),
    mails: registry.counter({
      name: 'latchkey.mail.outcomes',
      help: 'Mails by what became of them.',
      labels: ['kind', 'outcome'],
    }),
    events: registry.counter({
      name: 'latchkey.log.events',
      help: 'Lines of the log.',
      labels: ['event', 'level'],
    }),
  }
}
