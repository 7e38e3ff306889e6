/** The page: who we are, where we are, and the view for it. */

import './style.css'

import { render, type VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import { useShared } from './lib/hooks'
import { useRoute, type Route } from './lib/route'
import { client, signedIn, whyNot } from './lib/session'
import { t, type Text } from './lib/texts'
import { Dialog, Failed, Loading } from './parts/parts'
import { lazily } from './parts/lazily'
import { Shell } from './parts/Shell'
import { Inbox } from './views/Inbox'
import { SignIn, takeLink } from './views/SignIn'

const link = takeLink()
const Answer = lazily(() => import('./views/Answer'))
const Other = lazily(() => import('./views/Other'))

function View({ route }: { route: Route }): VNode {
  const { view = '', id } = route
  useEffect(() => {
    document.title = `${t((view ? `nav.${view}` : 'nav.inbox') as Text)} · PxBox`
  }, [view, id])
  if (['mine', 'flows', 'ask'].includes(view)) return <Other route={route} />
  return id ? <Answer key={id} id={id} /> : <Inbox route={route} />
}

function Page(): VNode {
  const route = useRoute()
  const { session, expired } = useShared()
  const [ready, setReady] = useState(link !== null)
  const [error, setError] = useState('')
  const begin = (): void => {
    setError('')
    client.session().then((found) => {
      if (found) signedIn(found)
      setReady(true)
    }, (problem: unknown) => setError(whyNot(problem)))
  }
  useEffect(() => { if (!link) begin() }, [])
  if (error) return <main id="main"><Failed why={error} again={begin} /></main>
  if (!ready) return <main id="main"><Loading /></main>
  if (!session) return <SignIn link={link} />
  return (
    <>
      <Shell route={route}><View route={route} /></Shell>
      {/* Over the page, not in its place: what was typed stays where it is. */}
      {expired && <Dialog title={t('sign.again')}><SignIn again /></Dialog>}
    </>
  )
}

render(<Page />, document.getElementById('page')!)
