/** More work is waiting than can be done soon: an HTTP 503, not an error of the program. */
export class Overloaded extends Error {
  override name = 'Overloaded'
}
