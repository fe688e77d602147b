-- Webhooks: where the present state is posted after each event, and how far each endpoint is in the journal of each org.
-- Triggers make the lines of a new org and say that a line is due, so that no way of writing an event is forgotten.
CREATE TABLE `webhooks` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`url` text NOT NULL,
	`types` text NOT NULL,
	`secret` text NOT NULL,
	`mask` text NOT NULL,
	`previous_secret` text,
	`previous_until` integer,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	`disabled_at` integer,
	PRIMARY KEY(`org_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `webhooks_id` ON `webhooks` (`id`);--> statement-breakpoint
CREATE TABLE `webhook_lines` (
	`org_id` text NOT NULL,
	`webhook_id` text NOT NULL,
	`seq` integer NOT NULL,
	`due_at` integer,
	`failures` integer DEFAULT 0 NOT NULL,
	`failing_since` integer,
	`last_error` text,
	`delivered_at` integer,
	`disabled_at` integer,
	`disabled_why` text,
	`replays` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`org_id`, `webhook_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `webhook_lines_webhook` ON `webhook_lines` (`webhook_id`);--> statement-breakpoint
CREATE INDEX `webhook_lines_due` ON `webhook_lines` (`due_at`) WHERE due_at IS NOT NULL;--> statement-breakpoint
-- A new org is told of to the endpoints of all orgs.
CREATE TRIGGER `orgs_webhooks_insert` AFTER INSERT ON `orgs`
BEGIN
  INSERT INTO `webhook_lines` (`org_id`, `webhook_id`, `seq`, `disabled_at`, `disabled_why`)
    SELECT NEW.`id`, `id`, NEW.`event_seq`, `disabled_at`, iif(`disabled_at` IS NULL, NULL, 'operator')
    FROM `webhooks` WHERE `org_id` = '';
END;--> statement-breakpoint
CREATE TRIGGER `orgs_webhooks_due` AFTER UPDATE OF `event_seq` ON `orgs`
WHEN NEW.`event_seq` > OLD.`event_seq` AND OLD.`importing` IS NULL
BEGIN
  UPDATE `webhook_lines` SET `due_at` = 0 WHERE `org_id` = NEW.`id` AND `due_at` IS NULL AND `disabled_at` IS NULL;
END;--> statement-breakpoint
-- The journal that comes with an imported org is the past of another place: nobody is told it again.
CREATE TRIGGER `orgs_webhooks_imported` AFTER UPDATE OF `event_seq` ON `orgs`
WHEN OLD.`importing` IS NOT NULL AND NEW.`importing` IS NULL
BEGIN
  UPDATE `webhook_lines` SET `seq` = NEW.`event_seq` WHERE `org_id` = NEW.`id`;
END;--> statement-breakpoint
CREATE TRIGGER `orgs_webhooks_delete` AFTER DELETE ON `orgs`
BEGIN
  DELETE FROM `webhooks` WHERE `org_id` = OLD.`id`;
  DELETE FROM `webhook_lines` WHERE `org_id` = OLD.`id`;
END;
