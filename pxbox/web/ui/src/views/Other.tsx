/** The views beside the inbox, in a chunk of their own. */

import '../lib/texts.other'

import type { VNode } from 'preact'

import type { Route } from '../lib/route'
import { Ask } from './Ask'
import { Flow, Flows } from './Flows'
import { Asked, Mine } from './Mine'

export default function Other({ route }: { route: Route }): VNode {
  const { view, id } = route
  if (view === 'ask') return <Ask />
  if (view === 'flows') return id ? <Flow key={id} id={id} /> : <Flows />
  return id ? <Asked key={id} id={id} /> : <Mine route={route} />
}
