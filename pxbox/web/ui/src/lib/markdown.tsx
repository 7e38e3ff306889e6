/** The little Markdown that askers use: paragraphs, lists, emphasis, code. Never HTML, never a live link. */

import type { ComponentChildren, VNode } from 'preact'

const INLINE = /(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|_[^_\s][^_]*_|\[[^\]]+\]\([^)\s]+\))/

function inline(text: string): ComponentChildren[] {
  return text.split(INLINE).map((part) => {
    if (part.length > 2 && part.startsWith('`') && part.endsWith('`')) return <code>{part.slice(1, -1)}</code>
    if (part.length > 4 && part.startsWith('**') && part.endsWith('**')) return <strong>{part.slice(2, -2)}</strong>
    if (part.length > 2 && /^[*_]/.test(part) && part.endsWith(part[0]!)) return <em>{part.slice(1, -1)}</em>
    const link = /^\[([^\]]+)\]\((https?:[^)\s]+|mailto:[^)\s]+)\)$/.exec(part)
    if (link) return <a href={link[2]} target="_blank" rel="noreferrer noopener">{link[1]}</a>
    return part
  })
}

function block(text: string): VNode {
  const lines = text.split('\n')
  if (lines.every((line) => /^\s*[-*] /.test(line))) {
    return <ul>{lines.map((line) => <li>{inline(line.replace(/^\s*[-*] /, ''))}</li>)}</ul>
  }
  if (lines.every((line) => /^\s*\d+[.)] /.test(line))) {
    return <ol>{lines.map((line) => <li>{inline(line.replace(/^\s*\d+[.)] /, ''))}</li>)}</ol>
  }
  const heading = /^#{1,6} (.*)$/.exec(text)
  if (heading) return <p><strong>{inline(heading[1]!)}</strong></p>
  return <p>{lines.map((line, n) => [n > 0 && <br />, inline(line)])}</p>
}

export function Markdown({ text }: { text: string }): VNode {
  const blocks = text.split(/```\w*\n?([\s\S]*?)```/)
  return (
    <div class="prose">
      {blocks.map((part, n) =>
        n % 2 === 1
          ? <pre><code>{part}</code></pre>
          : part.split(/\n{2,}/).filter((one) => one.trim()).map((one) => block(one.trim())))}
    </div>
  )
}
