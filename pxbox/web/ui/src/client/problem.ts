/** What a call can fail with. */

export interface Place {
  pointer: string
  message: string
  keyword?: string
}

/** A problem document (RFC 9457) as the broker sends it. Act on `code`. */
export interface ProblemDocument {
  code: string
  title: string
  status: number
  detail?: string
  retryable?: boolean
  errors?: Place[]
  [member: string]: unknown
}

/** The broker refused the call. */
export class Refused extends Error {
  constructor(readonly problem: ProblemDocument) {
    super(problem.detail ?? problem.title)
  }

  get code(): string {
    return this.problem.code
  }
}

/** No answer came: whether the call took effect is not known. */
export class Unreachable extends Error {}
