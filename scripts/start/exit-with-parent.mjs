/**
 * Preloaded into wrangler's processes: when the one that started them is gone, kill -9 included, the whole group goes.
 * Without it the Workers runtime would live on and hold the port and the state folder.
 */
import process from 'node:process';

// Told rather than asked where possible: the holder may have died before this line ran.
const holder = Number(process.env.LEASH_HOLDER ?? process.ppid);
delete process.env.LEASH_HOLDER; // the next process is held by this one

setInterval(() => process.ppid !== holder && process.kill(0, 'SIGKILL'), 200).unref();
