CREATE TABLE `deleted_orgs` (
	`org_id` text PRIMARY KEY NOT NULL,
	`deleted_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `users_buried` ON `users` (`org_id`,`seq`) WHERE deleted_at IS NOT NULL;