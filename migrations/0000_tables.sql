CREATE TABLE `credentials` (
	`id` text PRIMARY KEY NOT NULL,
	`org_id` text NOT NULL,
	`kind` text NOT NULL,
	`hash` text NOT NULL,
	`mask` text NOT NULL,
	`generation` integer NOT NULL,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	`valid_until` integer,
	`revoked_at` integer,
	`revoked_by` text
);
--> statement-breakpoint
CREATE UNIQUE INDEX `credentials_hash` ON `credentials` (`hash`);--> statement-breakpoint
CREATE UNIQUE INDEX `credentials_generation` ON `credentials` (`org_id`,`kind`,`generation`);--> statement-breakpoint
CREATE UNIQUE INDEX `credentials_current` ON `credentials` (`org_id`,`kind`) WHERE revoked_at IS NULL AND valid_until IS NULL;--> statement-breakpoint
CREATE TABLE `events` (
	`org_id` text NOT NULL,
	`seq` integer NOT NULL,
	`at` integer NOT NULL,
	`type` text NOT NULL,
	`actor` text NOT NULL,
	`credential_id` text,
	`target_id` text,
	`request_id` text NOT NULL,
	`details` text NOT NULL,
	PRIMARY KEY(`org_id`, `seq`)
);
--> statement-breakpoint
CREATE INDEX `events_target` ON `events` (`org_id`,`target_id`,`seq`);--> statement-breakpoint
CREATE TABLE `orgs` (
	`id` text PRIMARY KEY NOT NULL,
	`slug` text NOT NULL,
	`name` text NOT NULL,
	`scim_enabled` integer DEFAULT 0 NOT NULL,
	`settings` text DEFAULT '{}' NOT NULL,
	`user_count` integer DEFAULT 0 NOT NULL,
	`active_user_count` integer DEFAULT 0 NOT NULL,
	`event_seq` integer DEFAULT 0 NOT NULL,
	`not_before` integer,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `orgs_slug` ON `orgs` (`slug`);--> statement-breakpoint
CREATE TABLE `outbox` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`org_id` text NOT NULL,
	`user_id` text NOT NULL,
	`requested_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `outbox_org` ON `outbox` (`org_id`,`user_id`,`seq`);--> statement-breakpoint
CREATE TABLE `user_emails` (
	`org_id` text NOT NULL,
	`value_key` text NOT NULL,
	`user_seq` integer NOT NULL,
	PRIMARY KEY(`org_id`, `value_key`, `user_seq`)
);
--> statement-breakpoint
CREATE INDEX `user_emails_user` ON `user_emails` (`org_id`,`user_seq`);--> statement-breakpoint
CREATE TABLE `users` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`user_name_key` text NOT NULL,
	`external_id` text,
	`active` integer NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`modified_at` integer NOT NULL,
	`not_before` integer,
	`deleted_at` integer,
	`resource` text NOT NULL,
	`folded` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `users_id` ON `users` (`org_id`,`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `users_user_name` ON `users` (`org_id`,`user_name_key`) WHERE deleted_at IS NULL;--> statement-breakpoint
CREATE INDEX `users_external_id` ON `users` (`org_id`,`external_id`) WHERE deleted_at IS NULL;--> statement-breakpoint
CREATE INDEX `users_live` ON `users` (`org_id`,`seq`) WHERE deleted_at IS NULL;--> statement-breakpoint
CREATE INDEX `users_deleted_user_name` ON `users` (`org_id`,`user_name_key`) WHERE deleted_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX `users_deleted_external_id` ON `users` (`org_id`,`external_id`) WHERE deleted_at IS NOT NULL;