/** What a check says: `skipped` when it could not be made, or is not needed here. */
export type Verdict = 'ok' | 'warning' | 'failed' | 'skipped'

/** What one check found. Nothing in it is secret: it is printed, and people paste it into reports. */
export interface Finding {
  /** The name of the check, which does not change: scripts look for it. */
  check: string
  /** What it is about where a check looks at several: a host, a path. */
  subject?: string
  verdict: Verdict
  /** One sentence: what was seen. */
  reason: string
  /** One sentence: what to do. */
  mend?: string
  /** The lines to paste, and where. */
  paste?: { into: string; lines: string[] }
}

/** What to do about it. */
export type Remedy = Pick<Finding, 'mend' | 'paste'>

/** Makes the findings of the check called `check`. */
export const findingsOf = (check: string, subject?: string) => {
  const make =
    (verdict: Verdict) =>
    (reason: string, remedy: Remedy = {}): Finding => ({
      check,
      ...(subject !== undefined && { subject }),
      verdict,
      reason,
      ...remedy,
    })
  return { ok: make('ok'), warning: make('warning'), failed: make('failed'), skipped: make('skipped') }
}

/** A remedy with lines to paste. */
export const paste = (mend: string, into: string, ...lines: string[]): Remedy => ({
  mend,
  paste: { into, lines },
})

/**
 * The findings with every secret replaced. No check puts one in; what a server answers may quote one all the same.
 */
export function withoutSecrets(findings: readonly Finding[], secrets: readonly string[]): Finding[] {
  // Longest first: a secret may be a part of another one.
  const known = [...new Set(secrets)]
    .filter((secret) => secret.length >= 4)
    .sort((a, b) => b.length - a.length)
  const clean = (text: string) =>
    known.reduce((rest, secret) => rest.replaceAll(secret, '[secret]'), withoutControls(text))
  return findings.map(({ reason, mend, paste: lines, ...rest }) => ({
    ...rest,
    reason: clean(reason),
    ...(mend !== undefined && { mend: clean(mend) }),
    ...(lines && { paste: { into: lines.into, lines: lines.lines.map(clean) } }),
  }))
}

/** Servers are quoted: nothing that they say is obeyed by a terminal. */
const withoutControls = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
