/**
 * The filter grammar of RFC 7644 §3.4.2.2, and the PATCH path of §3.5.2 that embeds it: text -> syntax tree. Knows no
 * schema: `resolve.ts` gives the names a meaning. One pass, no backtracking; depth, length and terms are bounded.
 */
import { invalidFilter, invalidPath, type ScimError } from '../error';
import { bareWord, type Quirks } from '../quirks';
import { type Literal, OPERATORS, type Operator, type PathSyntax, type Syntax } from './syntax';

export const MAX_FILTER_LENGTH = 8192;
export const MAX_FILTER_DEPTH = 50;
export const MAX_FILTER_TERMS = 250;

/** @throws ScimError 400 invalidFilter with the position (1-based) where it stopped making sense. */
export function parseFilter(text: string): Syntax {
  if (text.length > MAX_FILTER_LENGTH) {
    throw invalidFilter(`The filter has ${text.length} characters; at most ${MAX_FILTER_LENGTH} are accepted`);
  }
  const parser = new Parser(text, invalidFilter, 'filter');
  const filter = parser.expression(0);
  parser.end();
  return filter;
}

/**
 * @param quirks receives the quirk of blanks around the path or its brackets.
 * @throws ScimError 400 invalidPath with the position (1-based) where it stopped making sense.
 */
export function parsePath(text: string, quirks?: Quirks): PathSyntax {
  if (text.length > MAX_FILTER_LENGTH) {
    throw invalidPath(`The path has ${text.length} characters; at most ${MAX_FILTER_LENGTH} are accepted`);
  }
  const parser = new Parser(text, invalidPath, 'path');
  const path = parser.patchPath();
  if (parser.hasBlanks) quirks?.add('blank-in-path');
  return path;
}

/** Comparisons and `pr` in a filter. */
export function countTerms(syntax: Syntax): number {
  switch (syntax.kind) {
    case 'and':
    case 'or':
      return syntax.terms.reduce((sum, term) => sum + countTerms(term), 0);
    case 'not':
      return countTerms(syntax.term);
    case 'element':
      return countTerms(syntax.filter);
    default:
      return 1;
  }
}

class Parser {
  #at = 0;
  #terms = 0;

  constructor(
    private readonly text: string,
    private readonly refusal: (detail: string) => ScimError,
    private readonly noun: string,
  ) {}

  /** Precedence of §3.4.2.2: grouping, then `not`, then `and`, then `or`. */
  expression(depth: number): Syntax {
    return this.#joined('or', () => this.#joined('and', () => this.#term(depth)));
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.text.length) this.#fail('nothing more, or "and" or "or",');
  }

  /** Blanks stood in a path outside of its value filter. */
  hasBlanks = false;

  patchPath(): PathSyntax {
    this.#skipBlank();
    const path = this.#attributePath();
    // A URN that names nothing is no unknown attribute, but half a path.
    if (/[:.]$/.test(path)) this.#fail('an attribute name behind the URN');
    let filter: Syntax | undefined;
    let sub: string | undefined;
    if (this.#takeAfterBlank('[')) {
      filter = this.expression(1);
      this.#expect(']');
      if (this.#takeAfterBlank('.')) {
        this.#skipBlank();
        sub = this.#attributePath();
      }
    }
    if (this.text.slice(this.#at).trim() !== '') this.#fail('the end of the path');
    this.#skipBlank();
    return { path, ...(filter && { filter }), ...(sub !== undefined && { sub }) };
  }

  /** Stays before the blanks if something else follows them. */
  #takeAfterBlank(character: string): boolean {
    const start = this.#at;
    const isBlank = this.#skipSpace();
    if (!this.#take(character)) {
      this.#at = start;
      return false;
    }
    this.hasBlanks ||= isBlank;
    return true;
  }

  #skipBlank(): void {
    if (this.#skipSpace()) this.hasBlanks = true;
  }

  #joined(word: 'and' | 'or', next: () => Syntax): Syntax {
    const first = next();
    if (!this.#takeWord(word)) return first;
    const terms = [first];
    do terms.push(next());
    while (this.#takeWord(word));
    return { kind: word, terms };
  }

  #term(depth: number): Syntax {
    if (depth > MAX_FILTER_DEPTH) throw this.refusal(`The ${this.noun} nests deeper than ${MAX_FILTER_DEPTH} levels`);
    this.#skipSpace();
    if (this.#take('(')) return this.#group(depth);
    const start = this.#at;
    if (this.#takeWord('not')) {
      this.#skipSpace();
      if (this.#take('(')) return { kind: 'not', term: this.#group(depth) };
      this.#at = start;
    }
    if (++this.#terms > MAX_FILTER_TERMS)
      throw this.refusal(`The ${this.noun} has more than ${MAX_FILTER_TERMS} terms`);
    const path = this.#attributePath();
    return this.#take('[') ? this.#element(path, depth) : this.#comparison(path);
  }

  #group(depth: number): Syntax {
    const inner = this.expression(depth + 1);
    this.#expect(')');
    return inner;
  }

  #element(path: string, depth: number): Syntax {
    const filter = this.expression(depth + 1);
    this.#expect(']');
    if (!this.#take('.')) return { kind: 'element', path, filter };
    // Entra matches accounts by `emails[type eq "work"].value eq "…"`: both must hold of one and the same element.
    const comparison = this.#comparison(this.#attributePath());
    return { kind: 'element', path, filter: { kind: 'and', terms: [filter, comparison] } };
  }

  #comparison(path: string): Syntax {
    if (!this.#skipSpace()) this.#fail('a space and an operator');
    const start = this.#at;
    const operator = this.#match(/[A-Za-z]+/y)?.toLowerCase();
    if (operator === 'pr') return { kind: 'present', path };
    if (!OPERATORS.includes(operator as Operator)) {
      this.#at = start;
      this.#fail(`an operator (${OPERATORS.join(', ')}, pr)`);
    }
    if (!this.#skipSpace()) this.#fail('a space and a value');
    return { kind: 'compare', path, operator: operator as Operator, literal: this.#literal() };
  }

  #literal(): Literal {
    const start = this.#at;
    const quoted = this.#match(/"(?:[^"\\]|\\.)*"/suy);
    if (quoted !== undefined) {
      try {
        const value = JSON.parse(quoted) as string;
        if (value.isWellFormed() && !value.includes('\0')) return { value, text: value };
      } catch {
        // said below
      }
      this.#at = start;
      this.#fail('a JSON string');
    }
    const number = this.#match(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[\s)\]]|$)/y);
    if (number !== undefined) return { value: Number(number), text: number };
    const word = this.#match(/[^\s"'()[\]]+/y);
    const literal = word === undefined ? undefined : bareWord(word);
    if (literal === undefined) {
      this.#at = start;
      this.#fail('a value: a string in double quotes, a number, true, false or null,');
    }
    return literal;
  }

  /** `name.givenName`, or with a URN before it (§3.10); which attribute that is, is not decided here. */
  #attributePath(): string {
    this.#skipSpace();
    const path = this.#match(/urn:[A-Za-z0-9.:_\-/%$]+|[A-Za-z$][\w$-]*(?:\.[A-Za-z$][\w$-]*)?/iy);
    if (path === undefined) this.#fail('an attribute name');
    return path;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #take(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  /** A keyword, in any case (§3.4.2.2), that is not the beginning of a longer word. */
  #takeWord(word: string): boolean {
    const start = this.#at;
    this.#skipSpace();
    if (this.#match(/[A-Za-z]+(?=[\s(]|$)/y)?.toLowerCase() === word) return true;
    this.#at = start;
    return false;
  }

  #skipSpace(): boolean {
    return this.#match(/\s+/y) !== undefined;
  }

  #expect(character: string): void {
    this.#skipSpace();
    if (!this.#take(character)) this.#fail(`"${character}"`);
  }

  #fail(expected: string): never {
    throw this.refusal(`The ${this.noun} is not valid at position ${this.#at + 1}: ${expected} was expected there`);
  }
}
