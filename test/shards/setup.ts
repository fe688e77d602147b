/** Four databases with their tables, before each test file of this folder. */
import { reset } from 'cloudflare:test';
import '../support/source-maps';
import { keyWrites } from '../../src/coordinator';
import { arrivals } from '../../src/routes/access/arrivals';
import { traffic } from '../../src/routes/access/outcome';
import { refusalCounter } from '../../src/routes/access/refusal';
import { homes } from '../../src/store/d1/homes';
import { migrate } from '../support/migrate';
import { SHORT_SECOND } from '../support/platform';
import { databases } from './databases';

for (let attempt = 0; ; attempt++) {
  await reset();
  const left = await Promise.all(
    databases.map((db) => db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'orgs'").all()),
  );
  if (left.every(({ results }) => results.length === 0)) break;
  if (attempt === 5) throw new Error('the storage of the file before is still there');
}
await Promise.all(databases.map(migrate));
homes.clear();
refusalCounter.interval = 0;
keyWrites.interval = SHORT_SECOND;
traffic.interval = Number.POSITIVE_INFINITY;
arrivals.interval = Number.POSITIVE_INFINITY;
