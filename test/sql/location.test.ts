import { expect, test } from 'bun:test'
import { directDatabase } from '../../sql/connect.ts'
import { type DatabaseLocation, locate } from '../../sql/location.ts'

const cases: [string, DatabaseLocation][] = [
  ['postgresql://', { hosts: [], ports: [] }],
  ['postgresql:///name', { hosts: [], ports: [], database: 'name' }],
  ['postgres://ada@db/name', { hosts: ['db'], ports: [5432], username: 'ada', database: 'name' }],
  [
    'postgresql://ada:p%40ss:w%2Frd@db.example:6543/name',
    { hosts: ['db.example'], ports: [6543], username: 'ada', password: 'p@ss:w/rd', database: 'name' },
  ],
  ['postgresql://[::1]:5433/name', { hosts: ['::1'], ports: [5433], database: 'name' }],
  ['postgresql://a:1,b/name', { hosts: ['a', 'b'], ports: [1, 5432], database: 'name' }],
  ['postgresql://%2Frun%2Fpostgresql/name', { hosts: ['/run/postgresql'], ports: [5432], database: 'name' }],
  ['postgresql:///name?host=/run/pg&port=7', { hosts: ['/run/pg'], ports: [7], database: 'name' }],
  [
    'postgresql://db/?user=ada&dbname=n&sslmode=verify-full',
    { hosts: ['db'], ports: [5432], username: 'ada', database: 'n', sslMode: 'verify-full' },
  ],
]
for (const [uri, location] of cases) {
  test(`locate: ${uri} (libpq connection URIs)`, () => {
    expect(locate({ uri }).location).toEqual(location)
  })
}

test("locate: parameters that are not the client's go to the server", () => {
  const { parameters } = locate({
    uri: 'postgresql://db/n?sslmode=require&statement-cache-capacity=1&options=-c%20x',
  })
  expect(parameters).toEqual({ options: '-c x' })
})

test('locate: the split fields of the configuration, a socket directory before a host', () => {
  const { location } = locate({
    socket: '/run',
    host: 'db',
    port: 1,
    username: 'u',
    password: 'p',
    database: 'd',
    ssl_mode: 'require',
  })
  expect(location).toEqual({
    hosts: ['/run'],
    ports: [1],
    username: 'u',
    password: 'p',
    database: 'd',
    sslMode: 'require',
  })
})

test('locate: a uri that cannot be read is refused without repeating the password', () => {
  for (const uri of [
    'mysql://u:secret@db/n',
    'postgresql://u:secret%zz@db/n',
    'postgresql://u:secret@db/n?sslmode=on',
  ]) {
    expect(() => locate({ uri })).toThrow(/^The database uri (?!.*secret)/)
  }
})

test('directDatabase: direct_uri replaces the way in and the pooler, and keeps the rest', () => {
  const direct = directDatabase({
    host: 'pooler',
    password: 'x',
    pooler: 'transaction',
    ssl_mode: 'require',
    direct_uri: 'postgresql://db/n',
  })
  expect(direct).toEqual({ uri: 'postgresql://db/n', ssl_mode: 'require' })
  expect(directDatabase({ host: 'db' })).toEqual({ host: 'db' })
})
