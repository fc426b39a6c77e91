import { CONTRACT } from '../../sql/migrate.ts'

/** What is wrong with a statement of a migration while an older release runs beside it, and how to say that it is right. */
interface Rule {
  what: string
  found: RegExp
  /** Not while the table is one that the same migration made: nobody uses it yet. */
  of?: 'table'
}

const TABLE = String.raw`(?:only\s+)?(?:latchkey\.)?"?(\w+)"?`
const alter = (change: string): RegExp =>
  new RegExp(String.raw`^alter\s+table\s+(?:if\s+exists\s+)?${TABLE}\s[\s\S]*\b${change}`, 'i')

const RULES: readonly Rule[] = [
  {
    what: 'drops what an older release may still use',
    found: /^drop\s+(?!index\b|trigger\b)\w+\s+(?:if\s+exists\s+)?(?:latchkey\.)?"?(\w+)/i,
  },
  {
    what: 'renames what an older release knows by its old name',
    found: alter(String.raw`rename\b`),
    of: 'table',
  },
  {
    what: 'drops a column',
    found: alter(String.raw`drop\s+(?!constraint\b|not\s+null\b|default\b|expression\b|identity\b)`),
    of: 'table',
  },
  {
    what: 'drops a default that an older release relies on',
    found: alter(String.raw`drop\s+default\b`),
    of: 'table',
  },
  {
    what: 'changes the type of a column',
    found: alter(String.raw`(?:set\s+data\s+)?type\s+\w`),
    of: 'table',
  },
  {
    what: 'demands a value that an older release does not give',
    found: alter(String.raw`set\s+not\s+null\b`),
    of: 'table',
  },
  {
    what: 'adds a column that an older release does not fill (not null without a default)',
    found: alter(
      String.raw`add\s+(?:column\s+)?(?!constraint\b|check\b|foreign\b|primary\b|unique\b)(?:(?!\bdefault\b|\bgenerated\b|,)[\s\S])*\bnot\s+null\b(?!(?:(?!,)[\s\S])*\b(?:default|generated)\b)`,
    ),
    of: 'table',
  },
  {
    what: 'adds a rule that rows of an older release may break',
    found: alter(String.raw`add\s+(?:constraint\b|check\b|foreign\b|primary\b|unique\b)`),
    of: 'table',
  },
  {
    what: 'makes unique what an older release may write twice',
    found: new RegExp(String.raw`^create\s+unique\s+index\b[\s\S]*?\bon\s+${TABLE}`, 'i'),
    of: 'table',
  },
  {
    what: 'makes an index while nobody can write to the table (concurrently, with -- no transaction)',
    found: new RegExp(String.raw`^create\s+index\s+(?!concurrently\b)[\s\S]*?\bon\s+${TABLE}`, 'i'),
    of: 'table',
  },
  {
    what: 'removes rows',
    found: new RegExp(String.raw`^(?:delete\s+from|truncate(?:\s+table)?)\s+${TABLE}`, 'i'),
    of: 'table',
  },
]

/** The statements of a migration, each with the comments that stand before it. */
export const statementsOf = (text: string): string[] =>
  text.split(/;[ \t]*$/m).filter((part) => part.replace(/--.*$/gm, '').trim() !== '')

/**
 * What an older release that still runs would stumble over, a sentence each. A statement with `-- contract: after
 * NNNN_name` on the line before it is meant: it takes away what the named, earlier migration made unused, and an older
 * release refuses the database from then on. `earlier` are the names of the migrations before.
 */
export function breaksOlder(text: string, earlier: readonly string[]): string[] {
  const statements = statementsOf(text)
  const made = new Set(
    statements.flatMap((part) => {
      const [, name] =
        /^create\s+(?:unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?(?:latchkey\.)?"?(\w+)/i.exec(
          bare(part),
        ) ?? []
      return name === undefined ? [] : [name]
    }),
  )
  return statements.flatMap((part) => {
    const statement = bare(part)
    const first = statement.split('\n')[0] ?? ''
    const [, after] = CONTRACT.exec(part) ?? []
    if (after !== undefined)
      return earlier.includes(after) ? [] : [`There is no earlier migration ${after}: ${first}`]
    const broken = RULES.filter(({ found, of }) => {
      const match = found.exec(statement)
      return match !== null && !(of === 'table' && made.has(match[1] ?? ''))
    })
    return broken.map(({ what }) => `It ${what}: ${first}`)
  })
}

const bare = (statement: string): string => statement.replace(/--.*$/gm, '').trim()
