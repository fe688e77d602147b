/** The form of the approval page, as a browser without scripts reads it. Plain text in: for Workers and Node alike. */

export interface Form {
  readonly action: string;
  /** The hidden ones, which the browser sends along. */
  readonly members: Record<string, string>;
}

export function formOf(html: string): Form {
  const action = attributeOf(/<form\b[^>]*>/.exec(html)?.[0] ?? '', 'action');
  if (action === undefined) throw new Error(`the page has no form: ${html}`);
  const hidden = (html.match(/<input\b[^>]*>/g) ?? []).filter((tag) => attributeOf(tag, 'type') === 'hidden');
  const members = hidden.map((tag) => [attributeOf(tag, 'name'), attributeOf(tag, 'value')]);
  return { action, members: Object.fromEntries(members) };
}

function attributeOf(tag: string, name: string): string | undefined {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]?.replace(/&(amp|lt|gt|quot|#39);/g, (it) => ENTITIES[it]!);
}

const ENTITIES: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };
