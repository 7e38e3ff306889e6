/** Stands in for the Markdown library that the form library asks for. */

import type { VNode } from 'preact'

import { Markdown as Ours } from '../lib/markdown'

export function Markdown({ children }: { children?: unknown }): VNode {
  return <Ours text={String(children ?? '')} />
}

export default Markdown
