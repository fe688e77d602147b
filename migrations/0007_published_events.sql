ALTER TABLE `events` ADD `publishes` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `events_published` ON `events` (`org_id`,`seq`) WHERE publishes = 1;--> statement-breakpoint
ALTER TABLE `orgs` ADD `disabled_at` integer;