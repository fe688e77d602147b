/**
 * A dead credential is dead (promise 3), after any interleaving: whoever was killed by an operation that was acknowledged
 * before a request began is refused, for reads and writes, and whoever is good is let in. What happens at once takes its
 * choices in the order in which answers come, so that a seed repeats a storm only nearly.
 */
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Answer, admin } from '../support/client';
import { journal, type Row, rows } from '../support/database';
import { CredentialLine } from '../support/line';
import { Random } from '../support/random';

const seed = Number(env.PROPERTY_SEED);
const SEQUENCES = 2;
const STEPS = 40;
const GRACES = { '0': 0, '1s': 1_000, '30s': 30_000, '2m': 120_000 } as const;
const LIVES = { '20s': 20_000, '1m': 60_000, '5m': 300_000 } as const;
/** The choice of Run.operate that ends an outage. */
const GENERATE = 8;
const pickKey = <T extends object>(random: Random, from: T) => random.pick(Object.keys(from) as (keyof T & string)[]);

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2026-11-20T12:00:00.000Z') }));
afterEach(() => void vi.useRealTimers());

/** What there should be: two numbers, and when they end. Fed with the journal, whose order is what happened. */
class Model {
  current: number | undefined;
  predecessor: { readonly generation: number; readonly until: number } | undefined;
  isEnabled = true;
  /** Of every generation that was ever handed out. */
  readonly secrets = new Map<number, { readonly secret: string; readonly validUntil: number }>();
  /** The graces that rotations asked for, by the generation they made. */
  readonly graces = new Map<number, number>();
  #seen = 0;

  isAlive(generation: number): boolean {
    const now = Date.now();
    const hasPlace =
      generation === this.current || (generation === this.predecessor?.generation && now < this.predecessor.until);
    return hasPlace && now < this.secrets.get(generation)!.validUntil;
  }

  /** 401 for the dead whatever the org's state is, 403 for the good while SCIM is off. */
  statusOf(generation: number, success: number): number {
    return this.isAlive(generation) ? (this.isEnabled ? success : 403) : 401;
  }

  /** Plays what is new in the journal. @returns how many events that was. */
  async follow(line: CredentialLine, numberOf: (id: string) => number): Promise<number> {
    const events = (await journal(line.orgId)).slice(this.#seen);
    this.#seen += events.length;
    for (const { type, target_id } of events) {
      const [, verb] = type.split('.');
      if (verb === 'issued') [this.current, this.predecessor] = [numberOf(target_id!), undefined];
      if (verb === 'revoked') [this.current, this.predecessor] = [undefined, undefined];
      if (verb === 'completed') this.predecessor = undefined;
      if (verb === 'cancelled') [this.current, this.predecessor] = [this.predecessor!.generation, undefined];
      if (verb === 'rotated') {
        const next = numberOf(target_id!);
        this.predecessor = { generation: this.current!, until: Date.now() + this.graces.get(next)! };
        this.current = next;
      }
      if (type === 'scim.enabled') this.isEnabled = true;
      if (type === 'scim.disabled') this.isEnabled = false;
    }
    return events.length;
  }
}

class Run {
  readonly model = new Model();
  /** userNames whose creation was acknowledged, titles whose change was, and either that was refused. */
  readonly created: string[] = [];
  readonly patched: string[] = [];
  readonly refused: string[] = [];
  readonly log: string[] = [];
  #names = 0;

  constructor(
    readonly line: CredentialLine,
    readonly random: Random,
    readonly personId: string,
  ) {}

  get #generations(): number[] {
    return [...this.model.secrets.keys()];
  }

  /** One operation of an administrator. @returns the generations that are dead for good by its acknowledgement. */
  async operate(): Promise<{ killed: number[]; answer: Answer }> {
    const { line, model, random } = this;
    const isExpected = random.chance(0.2) && { expectGeneration: model.current ?? 1 };
    const expires = random.chance(0.3) && { expires: pickKey(random, LIVES) };
    const isDark = !this.#generations.some((generation) => model.isAlive(generation));
    switch (isDark && random.chance(0.6) ? GENERATE : random.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const grace = random.chance(0.3) ? '0' : pickKey(random, GRACES);
        const answer = await line.rotate({ grace, ...expires, ...isExpected });
        this.log.push(`rotate ${grace} ${answer.status} ${answer.body.generation ?? ''}`);
        if (answer.status !== 201) return { killed: [], answer };
        this.#handOut(answer);
        model.graces.set(answer.body.generation, GRACES[grace]);
        const { killed, predecessor } = answer.body;
        return { killed: [killed, grace === '0' && predecessor].filter(Boolean).map((it) => it.generation), answer };
      }
      case 4:
      case 5:
      case 6: {
        const verb = random.pick(['cancel', 'cancel', 'complete'] as const);
        const answer = await line[verb]({ ...isExpected });
        this.log.push(`${verb} ${answer.status}`);
        return { killed: answer.status === 200 ? [answer.body.dead.generation] : [], answer };
      }
      case 7: {
        const answer = await line.revoke();
        this.log.push(`revoke ${answer.body.revoked}`);
        const all = answer.body[line.kind === 'tokens' ? 'tokens' : 'passwords'];
        return { killed: all.map(({ generation }: { generation: number }) => generation), answer };
      }
      case GENERATE:
      case 9: {
        const answer = await line.generate({ ...expires });
        this.log.push(`generate ${answer.status}`);
        if (answer.status === 201) this.#handOut(answer);
        return { killed: [], answer };
      }
      default: {
        const enabled = random.chance(0.8);
        const answer = await admin('POST', `/orgs/${line.slug}/scim`, { body: { enabled } });
        this.log.push(`scim ${enabled}`);
        return { killed: [], answer };
      }
    }
  }

  #handOut(answer: Answer): void {
    const { generation, validUntil } = answer.body;
    const until = validUntil === null ? Number.POSITIVE_INFINITY : Date.parse(validUntil);
    this.model.secrets.set(generation, { secret: this.line.secretIn(answer), validUntil: until });
  }

  /** A request with this generation's secret. @returns its status, and what it would be if it were let in. */
  async request(generation: number): Promise<{ status: number; success: number }> {
    const { line, random } = this;
    const { secret } = this.model.secrets.get(generation)!;
    const choice = random.below(5);
    if (choice < 2) {
      const path = random.pick(['/Users?count=1', `/Users/${this.personId}`, '/ServiceProviderConfig', '/Groups']);
      return { status: (await line.send(secret, 'GET', path)).status, success: 200 };
    }
    const name = `user-${++this.#names}-by-${generation}`;
    if (choice < 4) {
      const { status } = await line.send(secret, 'POST', '/Users', { body: { userName: name } });
      (status === 201 ? this.created : this.refused).push(name);
      return { status, success: 201 };
    }
    const operations = [{ op: 'replace', path: 'title', value: name }];
    const schemas = ['urn:ietf:params:scim:api:messages:2.0:PatchOp'];
    const body = { schemas, Operations: operations };
    const { status } = await line.send(secret, 'PATCH', `/Users/${this.personId}`, { body });
    (status === 200 ? this.patched : this.refused).push(name);
    return { status, success: 200 };
  }

  /** Every secret that may be good, and some of the others, one request each: exactly the good ones are let in. */
  async expectExactly(): Promise<void> {
    const { model, random } = this;
    const asked = this.#generations.filter((generation) => model.isAlive(generation) || random.chance(0.4));
    const requests = asked.map(async (generation) => {
      const { status, success } = await this.request(generation);
      return [generation, status, this.model.statusOf(generation, success)] as const;
    });
    for (const [generation, status, expected] of await Promise.all(requests)) {
      expect([generation, status], this.told()).toEqual([generation, expected]);
    }
  }

  /** Several operations and requests at once, which nobody waits for but for its own. */
  async storm(): Promise<void> {
    const { model, random } = this;
    const dead = this.#generations.filter((generation) => !model.isAlive(generation));
    this.log.push('storm (');
    const operators = Array.from({ length: 1 + random.below(4) }, async () => {
      for (let i = random.below(3); i >= 0; i--) {
        const { killed } = await this.operate();
        // These requests begin after the acknowledgement, whatever else is going on.
        const known = killed.filter((generation) => model.secrets.has(generation));
        await Promise.all(known.map((generation) => this.#expectDead(generation)));
      }
    });
    const clients = Array.from({ length: 6 }, async () => {
      for (let i = 0; i < 3; i++) {
        const generation = random.pick(this.#generations);
        if (dead.includes(generation)) await this.#expectDead(generation);
        else expect([200, 201, 401, 403], this.told()).toContain((await this.request(generation)).status);
      }
    });
    await Promise.all([...operators, ...clients]);
    this.log.push(')');
  }

  async #expectDead(generation: number): Promise<void> {
    const { status } = await this.request(generation);
    expect([generation, status], this.told()).toEqual([generation, 401]);
  }

  /** On, often to the very millisecond in which something ends, or the one before. */
  pass(): void {
    const { model, random } = this;
    const ends = [model.predecessor?.until, ...[...model.secrets.values()].map(({ validUntil }) => validUntil)];
    const soon = ends.filter((end) => end !== undefined && Number.isFinite(end) && end - 1 > Date.now()) as number[];
    const to =
      soon.length > 0 && random.chance(0.7) ? random.pick(soon) - random.below(2) : Date.now() + random.below(60_000);
    this.log.push(`clock +${to - Date.now()}`);
    vi.setSystemTime(to);
  }

  told = () => `seed ${seed}: ${this.log.slice(-30).join(', ')}`;

  async follow(): Promise<void> {
    const made = await rows('SELECT id, generation FROM credentials WHERE org_id = ?', this.line.orgId);
    const numbers = new Map(made.map((row: Row) => [row['id'], row['generation'] as number]));
    await this.model.follow(this.line, (id) => numbers.get(id)!);
  }
}

const totals = { handedOut: 0, acknowledged: 0, refused: 0 };

describe.each(['tokens', 'basic'] as const)(`a dead one of %s is dead (seed ${seed})`, (kind) => {
  it.each(Array.from({ length: SEQUENCES }, (_, i) => [i + 1]))(
    'after any interleaving (sequence %i)',
    async (sequence) => {
      const random = new Random(seed + sequence * 1_000 + kind.length);
      const slug = `dead-${kind}-${sequence}`;
      const { body: org } = await admin('POST', '/orgs', { body: { slug } });
      await admin('POST', `/orgs/${slug}/scim`, { body: { enabled: true } });
      const line = new CredentialLine(slug, org.id, kind);
      const issued = await line.generate();
      const person = await line.send(line.secretIn(issued), 'POST', '/Users', {
        body: { userName: 'person', title: 'none' },
      });
      const run = new Run(line, random, person.body.id);
      run.model.secrets.set(1, { secret: line.secretIn(issued), validUntil: Number.POSITIVE_INFINITY });
      await run.follow();
      for (let step = 0; step < STEPS; step++) {
        const choice = random.below(10);
        if (choice < 3) run.pass();
        else if (choice < 5) await run.storm();
        else await run.operate();
        await run.follow();
        await run.expectExactly();
        const { current, predecessor } = await line.alive();
        expect([current.length <= 1, predecessor.length <= 1], run.told()).toEqual([true, true]);
      }
      // What was refused has left no trace, and what was acknowledged is there.
      const stored = (await rows('SELECT user_name_key AS name FROM users WHERE org_id = ?', line.orgId)).map(
        (row) => row['name'],
      );
      expect(stored.sort()).toEqual(['person', ...run.created].sort());
      const titles = (await journal(line.orgId, person.body.id)).flatMap(
        ({ details }) => details.changed?.title?.after ?? [],
      );
      expect(titles.slice(1).sort()).toEqual(run.patched.sort());
      totals.handedOut += run.model.secrets.size;
      totals.acknowledged += run.created.length + run.patched.length;
      totals.refused += run.refused.length;
    },
  );
});

it('the sequences above have handed out, let in and refused enough to mean something', () => {
  expect(totals.handedOut).toBeGreaterThan(30);
  expect(totals.acknowledged).toBeGreaterThan(50);
  expect(totals.refused).toBeGreaterThan(200);
});
