/** The views beside the inbox, in a chunk of their own. */

import type { VNode } from 'preact'

import { Ask } from './Ask'
import { Flow, Flows } from './Flows'
import { Asked, Mine } from './Mine'

export default function Other({ view, id }: { view: string; id?: string }): VNode {
  if (view === 'ask') return <Ask />
  if (view === 'flows') return id ? <Flow key={id} id={id} /> : <Flows />
  return id ? <Asked key={id} id={id} /> : <Mine />
}
