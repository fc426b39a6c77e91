import { BOUNDS, type Family, type Point } from './metrics.ts'

/** What `prometheusText` is. */
export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Units as OpenTelemetry's exporters write them at the end of a name. */
const UNITS: Readonly<Record<string, string>> = { ms: '_milliseconds', s: '_seconds', By: '_bytes', '': '' }

/**
 * The text that Prometheus reads, with names as OpenTelemetry makes them: `mas.user.password_login_attempt` is
 * `mas_user_password_login_attempt_total`, `http.server.duration` is `http_server_duration_milliseconds_bucket`.
 */
export const prometheusText = (families: readonly Family[]): string => families.map(familyText).join('')

function familyText(family: Family): string {
  if (family.points.length === 0) return ''
  const name =
    family.name.replace(/\W/g, '_') + (UNITS[family.unit] ?? '') + (family.kind === 'counter' ? '_total' : '')
  const labels = family.labels.map((label) => label.replace(/\W/g, '_'))
  const lines = family.points.flatMap((point) =>
    family.kind === 'histogram'
      ? histogramLines(name, labels, point)
      : [line(name, labels, point.values, point.value)],
  )
  return [`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.kind}`, ...lines, ''].join('\n')
}

function histogramLines(
  name: string,
  labels: readonly string[],
  { values, value, counts = [] }: Point,
): string[] {
  let total = 0
  const buckets = counts.map((count, index) => {
    total += count
    return line(`${name}_bucket`, [...labels, 'le'], [...values, String(BOUNDS[index] ?? '+Inf')], total)
  })
  return [
    ...buckets,
    line(`${name}_sum`, labels, values, value),
    line(`${name}_count`, labels, values, total),
  ]
}

function line(name: string, labels: readonly string[], values: readonly string[], value: number): string {
  const written = labels.map((label, index) => `${label}="${escaped(values[index] ?? '')}"`).join(',')
  return `${name}${written && `{${written}}`} ${value}`
}

const escaped = (value: string): string =>
  value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
