/** Lists that travel as JSON parameters: one holds 2 MB at most, so a long list takes several. */

/** Bytes. */
const MAX_PARAMETER = 1_500_000;

const encoder = new TextEncoder();

/** The list as JSON texts, each of at least one element. None for an empty list. */
export function jsonPortions(list: readonly unknown[]): { readonly json: string; readonly count: number }[] {
  const portions: { json: string; count: number }[] = [];
  let texts: string[] = [];
  let size = 0;
  const close = () => {
    if (texts.length > 0) portions.push({ json: `[${texts.join(',')}]`, count: texts.length });
    texts = [];
    size = 0;
  };
  for (const element of list) {
    const text = JSON.stringify(element);
    const length = encoder.encode(text).byteLength + 1;
    if (size + length > MAX_PARAMETER) close();
    texts.push(text);
    size += length;
  }
  close();
  return portions;
}
