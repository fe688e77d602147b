CREATE TABLE `brake_counts` (
	`org_id` text NOT NULL,
	`at` integer NOT NULL,
	`count` integer NOT NULL,
	PRIMARY KEY(`org_id`, `at`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `brake_held` (
	`org_id` text NOT NULL,
	`user_id` text NOT NULL,
	`operation` text NOT NULL,
	`since` integer NOT NULL,
	`last_at` integer NOT NULL,
	`attempts` integer NOT NULL,
	`rejected_until` integer,
	`rejected_by` text,
	PRIMARY KEY(`org_id`, `user_id`)
) WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `orgs` ADD `pruned_through` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `orgs` ADD `retained_at` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `orgs` ADD `importing` text;--> statement-breakpoint
CREATE INDEX `orgs_retained` ON `orgs` (`retained_at`) WHERE settings ->> '$.retainEvents' IS NOT NULL
      OR settings ->> '$.retainDeleted' IS NOT NULL;--> statement-breakpoint
ALTER TABLE `users` ADD `erased_at` integer;--> statement-breakpoint
ALTER TABLE `users` ADD `origin` text DEFAULT 'idp' NOT NULL;--> statement-breakpoint
ALTER TABLE `users` ADD `linked_at` integer;--> statement-breakpoint
ALTER TABLE `users` ADD `protected` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `users_unlinked` ON `users` (`org_id`,`seq`) WHERE origin = 'host' AND linked_at IS NULL AND deleted_at IS NULL;--> statement-breakpoint
CREATE INDEX `users_deleted` ON `users` (`org_id`,`deleted_at`) WHERE deleted_at IS NOT NULL AND erased_at IS NULL;