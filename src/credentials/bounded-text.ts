/**
 * The body of an answer from elsewhere, as text. Reading stops at the limit, whatever length the sender states.
 *
 * @param most bytes. @throws Error: it is larger, or is not UTF-8.
 */
export async function boundedText(response: Response, most: number): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
  let text = '';
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    if (length > most) throw new Error('too large');
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
