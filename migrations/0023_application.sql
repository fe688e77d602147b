-- What an application asks that the directory could not answer with one look-up: an address of somebody deleted, a domain, a
-- list of those who may not sign in, a token of its own. Triggers keep the two copies, so that no way of writing is forgotten.
CREATE TABLE `deleted_emails` (
	`org_id` text NOT NULL,
	`value_key` text NOT NULL,
	`user_seq` integer NOT NULL,
	PRIMARY KEY(`org_id`, `value_key`, `user_seq`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `deleted_emails_user` ON `deleted_emails` (`org_id`,`user_seq`);--> statement-breakpoint
CREATE TABLE `org_domains` (
	`org_id` text NOT NULL,
	`domain` text NOT NULL,
	PRIMARY KEY(`org_id`, `domain`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `org_domains_domain` ON `org_domains` (`domain`,`org_id`);--> statement-breakpoint
CREATE TABLE `host_tokens` (
	`hash` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`mask` text NOT NULL,
	`orgs` text,
	`scopes` text NOT NULL,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	`replaced_at` integer,
	`grace_until` integer
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `host_tokens_current` ON `host_tokens` (`name`) WHERE replaced_at IS NULL;--> statement-breakpoint
CREATE UNIQUE INDEX `host_tokens_predecessor` ON `host_tokens` (`name`) WHERE replaced_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX `users_inactive` ON `users` (`org_id`,`seq`) WHERE deleted_at IS NULL AND active = 0;--> statement-breakpoint
INSERT INTO `deleted_emails` (`org_id`, `value_key`, `user_seq`)
  SELECT DISTINCT `users`.`org_id`, `email`.`value` ->> '$.value', `users`.`seq`
  FROM `users`, json_each(`users`.`folded`, '$.emails') AS `email`
  WHERE `users`.`deleted_at` IS NOT NULL AND `users`.`erased_at` IS NULL AND trim(ifnull(`email`.`value` ->> '$.value', '')) <> '';--> statement-breakpoint
CREATE TRIGGER `users_deleted_emails` AFTER UPDATE OF `deleted_at`, `erased_at` ON `users`
WHEN (OLD.`deleted_at` IS NULL) <> (NEW.`deleted_at` IS NULL) OR (OLD.`erased_at` IS NULL) <> (NEW.`erased_at` IS NULL)
BEGIN
  DELETE FROM `deleted_emails` WHERE `org_id` = NEW.`org_id` AND `user_seq` = NEW.`seq`;
  INSERT INTO `deleted_emails` (`org_id`, `value_key`, `user_seq`)
    SELECT DISTINCT NEW.`org_id`, `email`.`value` ->> '$.value', NEW.`seq` FROM json_each(NEW.`folded`, '$.emails') AS `email`
    WHERE NEW.`deleted_at` IS NOT NULL AND NEW.`erased_at` IS NULL AND trim(ifnull(`email`.`value` ->> '$.value', '')) <> '';
END;--> statement-breakpoint
CREATE TRIGGER `users_deleted_emails_insert` AFTER INSERT ON `users`
WHEN NEW.`deleted_at` IS NOT NULL AND NEW.`erased_at` IS NULL
BEGIN
  INSERT INTO `deleted_emails` (`org_id`, `value_key`, `user_seq`)
    SELECT DISTINCT NEW.`org_id`, `email`.`value` ->> '$.value', NEW.`seq` FROM json_each(NEW.`folded`, '$.emails') AS `email`
    WHERE trim(ifnull(`email`.`value` ->> '$.value', '')) <> '';
END;--> statement-breakpoint
INSERT INTO `org_domains` (`org_id`, `domain`)
  SELECT DISTINCT `orgs`.`id`, lower(`domain`.`value`) FROM `orgs`, json_each(`orgs`.`settings`, '$.verifiedDomains') AS `domain`;--> statement-breakpoint
CREATE TRIGGER `orgs_domains_insert` AFTER INSERT ON `orgs`
WHEN NEW.`settings` <> '{}'
BEGIN
  INSERT INTO `org_domains` (`org_id`, `domain`)
    SELECT DISTINCT NEW.`id`, lower(`domain`.`value`) FROM json_each(NEW.`settings`, '$.verifiedDomains') AS `domain`;
END;--> statement-breakpoint
CREATE TRIGGER `orgs_domains_update` AFTER UPDATE OF `settings` ON `orgs`
WHEN OLD.`settings` -> '$.verifiedDomains' IS NOT NEW.`settings` -> '$.verifiedDomains'
BEGIN
  DELETE FROM `org_domains` WHERE `org_id` = NEW.`id`;
  INSERT INTO `org_domains` (`org_id`, `domain`)
    SELECT DISTINCT NEW.`id`, lower(`domain`.`value`) FROM json_each(NEW.`settings`, '$.verifiedDomains') AS `domain`;
END;--> statement-breakpoint
CREATE TRIGGER `orgs_domains_delete` AFTER DELETE ON `orgs`
BEGIN
  DELETE FROM `org_domains` WHERE `org_id` = OLD.`id`;
END;--> statement-breakpoint
-- Flags of erased users had an end. Keys of an application have none, so these flags are written once more, to stay.
INSERT INTO `outbox` (`org_id`, `user_id`, `requested_at`)
  SELECT `org_id`, `id`, CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM `users` WHERE `erased_at` IS NOT NULL;
