-- How much each org stores, about: its documents and events in bytes, and for each row what its columns and indexes take
-- (a user 500, a group 300, an event 250, a member 60). Triggers count, so that no way of writing is forgotten and each count
-- is of the same batch. Whoever rebuilds one of these tables has to make its triggers anew.
-- The index serves the cron, which now looks at each org: the journal has a default age.
DROP INDEX `orgs_retained`;--> statement-breakpoint
ALTER TABLE `orgs` ADD `stored_bytes` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `orgs_retained` ON `orgs` (`retained_at`);--> statement-breakpoint
UPDATE `orgs` SET `stored_bytes` = (SELECT ifnull(sum(500 + octet_length(`users`.`resource`) + octet_length(`users`.`folded`)), 0) FROM `users` WHERE `users`.`org_id` = `orgs`.`id`);--> statement-breakpoint
UPDATE `orgs` SET `stored_bytes` = `stored_bytes` + (SELECT ifnull(sum(300 + octet_length(`groups`.`resource`) + octet_length(`groups`.`folded`) + 60 * `groups`.`member_count`), 0) FROM `groups` WHERE `groups`.`org_id` = `orgs`.`id`);--> statement-breakpoint
UPDATE `orgs` SET `stored_bytes` = `stored_bytes` + (SELECT ifnull(sum(250 + octet_length(`events`.`details`)), 0) FROM `events` WHERE `events`.`org_id` = `orgs`.`id`);--> statement-breakpoint
CREATE TRIGGER `users_stored_insert` AFTER INSERT ON `users`
BEGIN
  UPDATE `orgs` SET `stored_bytes` = `stored_bytes` + 500 + octet_length(NEW.`resource`) + octet_length(NEW.`folded`) WHERE `id` = NEW.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `users_stored_update` AFTER UPDATE OF `resource`, `folded` ON `users`
BEGIN
  UPDATE `orgs` SET `stored_bytes` = `stored_bytes` + octet_length(NEW.`resource`) + octet_length(NEW.`folded`)
      - octet_length(OLD.`resource`) - octet_length(OLD.`folded`) WHERE `id` = NEW.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `users_stored_delete` AFTER DELETE ON `users`
BEGIN
  UPDATE `orgs` SET `stored_bytes` = `stored_bytes` - 500 - octet_length(OLD.`resource`) - octet_length(OLD.`folded`) WHERE `id` = OLD.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `groups_stored_insert` AFTER INSERT ON `groups`
BEGIN
  UPDATE `orgs` SET `stored_bytes` = `stored_bytes` + 300 + octet_length(NEW.`resource`) + octet_length(NEW.`folded`) + 60 * NEW.`member_count` WHERE `id` = NEW.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `groups_stored_update` AFTER UPDATE OF `resource`, `folded`, `member_count` ON `groups`
BEGIN
  UPDATE `orgs` SET `stored_bytes` = `stored_bytes` + octet_length(NEW.`resource`) + octet_length(NEW.`folded`) + 60 * NEW.`member_count`
      - octet_length(OLD.`resource`) - octet_length(OLD.`folded`) - 60 * OLD.`member_count` WHERE `id` = NEW.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `groups_stored_delete` AFTER DELETE ON `groups`
BEGIN
  UPDATE `orgs` SET `stored_bytes` = `stored_bytes` - 300 - octet_length(OLD.`resource`) - octet_length(OLD.`folded`) - 60 * OLD.`member_count` WHERE `id` = OLD.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `events_stored_insert` AFTER INSERT ON `events`
BEGIN
  UPDATE `orgs` SET `stored_bytes` = `stored_bytes` + 250 + octet_length(NEW.`details`) WHERE `id` = NEW.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `events_stored_update` AFTER UPDATE OF `details` ON `events`
BEGIN
  UPDATE `orgs` SET `stored_bytes` = `stored_bytes` + octet_length(NEW.`details`) - octet_length(OLD.`details`) WHERE `id` = NEW.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `events_stored_delete` AFTER DELETE ON `events`
BEGIN
  UPDATE `orgs` SET `stored_bytes` = `stored_bytes` - 250 - octet_length(OLD.`details`) WHERE `id` = OLD.`org_id`;
END;
