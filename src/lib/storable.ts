/** Whether PostgreSQL can store a value of JSON as text or jsonb: no U+0000, no half of a surrogate pair (manual, section 8.14). */
export function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, item]) => isStorable(key) && isStorable(item))
}
