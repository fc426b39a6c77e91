import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { dumpSchema } from '../../sql/schema-dump.ts'
import { createTestDatabase } from '../support/database.ts'

test('sql/schema.sql: shows the schema that the migrations make (UPDATE=1 rewrites it)', async () => {
  const path = join(import.meta.dirname, '..', '..', 'sql', 'schema.sql')
  const { sql, drop } = await createTestDatabase()
  const dump = await dumpSchema(sql)
  await drop()
  if (process.env.UPDATE === '1') await Bun.write(path, dump)
  expect(await Bun.file(path).text()).toBe(dump)
})
