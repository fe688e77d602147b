/** An application's database in memory, which can fail and be killed at any call. */
import type { MirroredGroup, MirroredUser, MirrorStore } from '../../src/mirror';

export class Killed extends Error {}

export class MemoryStore implements Required<MirrorStore> {
  readonly userRows = new Map<string, MirroredUser>();
  readonly groupRows = new Map<string, MirroredGroup>();
  cursor: string | undefined;
  calls = 0;
  /** By the name of the method. */
  readonly log: string[] = [];
  /** Called before each write; what it throws is thrown. */
  before: (method: string) => void = () => undefined;
  /** Called after each write: the write has happened, and its caller is told otherwise. */
  after: (method: string) => void = () => undefined;

  async #write(method: string, work: () => unknown) {
    this.calls++;
    this.log.push(method);
    this.before(method);
    work();
    this.after(method);
  }
  upsertUser = (user: MirroredUser) => this.#write('upsertUser', () => this.userRows.set(user.id, user));
  removeUser = (id: string) => this.#write('removeUser', () => this.userRows.delete(id));
  upsertGroup = (group: MirroredGroup) => this.#write('upsertGroup', () => this.groupRows.set(group.id, group));
  removeGroup = (id: string) => this.#write('removeGroup', () => this.groupRows.delete(id));
  loadCursor = async () => this.cursor;
  saveCursor = (cursor: string) =>
    this.#write('saveCursor', () => {
      this.cursor = cursor;
    });
  users = () => [...this.userRows.values()];
  groups = () => [...this.groupRows.values()];
}
