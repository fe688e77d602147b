/** In which line a text was first: 12 bytes a text and some room, where a Map of millions would take more than the file. */
import { hash } from 'node:crypto';

export class FirstLines {
  #size = 0;
  /** Two halves of a digest and a line, each: a line of 0 is an empty place. */
  #places = new Uint32Array(3 * 1_024);

  /** @returns the line in which it was before; undefined: this is the first one. */
  add(text, line) {
    if (this.#size * 4 > this.#places.length) this.#grow(); // three places in four are taken
    const digest = hash('sha1', text, 'buffer');
    const [high, low] = [digest.readUInt32LE(0), digest.readUInt32LE(4)];
    const at = this.#find(high, low);
    const before = this.#places[at + 2];
    if (before !== 0) return before;
    this.#places.set([high, low, line], at);
    this.#size++;
    return undefined;
  }

  /** Where it is, or would be. */
  #find(high, low) {
    const places = this.#places;
    const count = places.length / 3;
    for (let i = low & (count - 1); ; i = (i + 1) & (count - 1)) {
      const at = i * 3;
      if (places[at + 2] === 0 || (places[at] === high && places[at + 1] === low)) return at;
    }
  }

  #grow() {
    const old = this.#places;
    this.#places = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += 3) {
      if (old[at + 2] !== 0) this.#places.set(old.subarray(at, at + 3), this.#find(old[at], old[at + 1]));
    }
  }
}
