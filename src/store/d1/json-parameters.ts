/** What D1 takes: 2,000,000 bytes in a value and in a row. Lists travel as JSON parameters, so a long one takes several. */
import { payloadTooLarge } from '../../scim/error';

/** Bytes of a list; one of a single element may have more. */
const MAX_LIST = 1_500_000;
/** Bytes of an element: some are left for the brackets, and for what stands beside it in a row. */
const MAX_ELEMENT = 1_990_000;
const encoder = new TextEncoder();

/** Bytes in UTF-8. */
const sizeOf = (text: string): number => encoder.encode(text).byteLength;

/** Some elements of a list as JSON. */
export interface Chunk {
  readonly json: string;
  readonly count: number;
}

/** The list as JSON texts, each of at least one element. None for an empty list. @throws ScimError 413. */
export const jsonChunks = (list: readonly unknown[]): Chunk[] =>
  chunksOf(list.map((element) => JSON.stringify(element)));

/** The same of elements that are JSON already. */
export function chunksOf(elements: readonly string[]): Chunk[] {
  const chunks: Chunk[] = [];
  let texts: string[] = [];
  let size = 0;
  const close = () => {
    if (texts.length > 0) chunks.push({ json: `[${texts.join(',')}]`, count: texts.length });
    texts = [];
    size = 0;
  };
  for (const text of elements) {
    const length = sizeOf(text) + 1;
    if (length > MAX_ELEMENT) throw payloadTooLarge(`A row of more than ${MAX_ELEMENT} bytes cannot be stored`);
    if (size + length > MAX_LIST) close();
    texts.push(text);
    size += length;
  }
  close();
  return chunks;
}
