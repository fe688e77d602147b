/**
 * Every admin command, one entry each: its name, what it takes, the call that it makes and how the answer looks to
 * people. Parsing, help and errors are the same for all (command-line.mjs, help.mjs).
 *
 *   name      one to three words
 *   about     one sentence for lists; `more` follows it in the command's own help
 *   args      positional arguments; `[x]` is optional, and a last one that ends in `…` takes one or more
 *   options   by name: `value` is what the help calls it, and without one it is a switch; `required` as it says
 *   example   what to type, without `npm run admin --`; one or several
 *   run       (callAdmin, values) -> the API's answer
 *   show      (answer, values) -> text for people
 *   quiet     (answer) -> the bare value that --quiet prints; without it, the command has no --quiet
 *   exitCode  (answer) -> 0 by default, 2 if some lines were refused, 1 if nothing was done
 *   details   () -> text that the help of this command alone adds
 *   stream    (callAdmin, values) -> in place of run and show: lines as they come, if `values` ask for that
 *   needsNoService  (values) -> whether the command works without the service
 */
import { peopleCommands } from './accounts.mjs';
import { archiveCommands } from './archive.mjs';
import { credentialCommands } from './credentials.mjs';
import { groupCommands } from './groups.mjs';
import { guideCommand } from './guide.mjs';
import { healthCommands } from './health.mjs';
import { heldCommands } from './held.mjs';
import { hostCommands } from './hosts.mjs';
import { journalCommands } from './journal.mjs';
import { linkPreviewCommand } from './link-preview.mjs';
import { oauthCommands } from './oauth.mjs';
import { offboardCommand } from './offboard.mjs';
import { orgCommands, scimCommands } from './orgs.mjs';
import { portalCommands } from './portal.mjs';
import { refusalCommands } from './refusals.mjs';
import { schemaCommands } from './schemas.mjs';
import { sessionCommands } from './sessions.mjs';
import { shardCommands } from './shards.mjs';
import { receiverCommands } from './signal-receivers.mjs';
import { signalCommands } from './signals.mjs';
import { userCommands } from './users.mjs';
import { webhookCommands } from './webhooks.mjs';

const QUIET = { about: 'print the bare value alone, for scripts', short: 'q' };

export const commands = [
  ...orgCommands,
  guideCommand,
  ...healthCommands,
  ...archiveCommands,
  offboardCommand,
  ...shardCommands,
  ...scimCommands,
  ...credentialCommands({ noun: 'token', word: 'token', path: '/tokens', list: 'list' }),
  ...credentialCommands({ noun: 'basic', word: 'password', path: '/basic', list: 'show' }),
  ...oauthCommands,
  ...hostCommands,
  ...userCommands,
  ...peopleCommands,
  linkPreviewCommand,
  ...groupCommands,
  ...schemaCommands,
  ...journalCommands,
  ...refusalCommands,
  ...heldCommands,
  ...sessionCommands,
  ...signalCommands,
  ...receiverCommands,
  ...portalCommands,
  ...webhookCommands,
].map((command) => (command.quiet ? { ...command, options: { ...command.options, quiet: QUIET } } : command));
