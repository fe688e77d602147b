/** Refusals of one isolate on their way to D1. A flood of bad tokens is not a flood of writes. */
import { DAY } from '../duration';
import { countRefusals, findPresenters, OTHERS } from '../store/credentials/refusals';
import { BufferedCounter } from '../store/d1/buffered-counter';
import { accountOf, type Occurrence } from './refusal';

export class RefusalCounter extends BufferedCounter<Occurrence> {
  protected override keyOf({ count: _, firstAt, lastAt: __, ...of }: Occurrence): string {
    return JSON.stringify([Math.floor(firstAt / DAY), ...Object.entries(of).sort()]);
  }

  protected override orgOf({ orgId, slug, userName }: Occurrence): string {
    return orgId ?? slug ?? userName ?? '';
  }

  /** Hints of signals are a few words of ours, which tell its administrator the most. */
  protected override folded({ orgId, slug, userName, reason = 'unknown', hint, count, firstAt, lastAt }: Occurrence) {
    const kept = reason === 'signal' ? hint : OTHERS;
    return { orgId, slug, userName, reason, hint: kept, client: '', address: '', count, firstAt, lastAt };
  }

  protected override sum(one: Occurrence, other: Occurrence): Occurrence {
    return {
      ...other,
      count: one.count + other.count,
      firstAt: Math.min(one.firstAt, other.firstAt),
      lastAt: Math.max(one.lastAt, other.lastAt),
    };
  }

  /** What the hashes are of is asked first, at once for all. */
  protected override async write(db: D1Database, occurrences: readonly Occurrence[]): Promise<void> {
    const hashes = [...new Set(occurrences.flatMap(({ hash }) => hash ?? []))];
    const presenters = hashes.length > 0 ? await findPresenters(db, hashes) : new Map();
    await countRefusals(
      db,
      occurrences.map((one) => accountOf(one, presenters.get(one.hash))),
    );
  }
}
