CREATE TABLE `approvals` (
	`org_id` text PRIMARY KEY NOT NULL,
	`hash` text NOT NULL,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	`valid_until` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `assertions` (
	`org_id` text NOT NULL,
	`hash` text NOT NULL,
	`valid_until` integer NOT NULL,
	PRIMARY KEY(`org_id`, `hash`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `assertions_valid_until` ON `assertions` (`valid_until`);--> statement-breakpoint
CREATE TABLE `grants` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`client_id` text NOT NULL,
	`code_hash` text NOT NULL,
	`code_valid_until` integer NOT NULL,
	`redirect_uri` text NOT NULL,
	`challenge` text,
	`approved_at` integer NOT NULL,
	`approved_by` text NOT NULL,
	`redeemed_at` integer,
	`revoked_at` integer,
	PRIMARY KEY(`org_id`, `id`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `grants_code` ON `grants` (`org_id`,`code_hash`);--> statement-breakpoint
CREATE TABLE `oauth_clients` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`name` text NOT NULL,
	`redirect_uris` text NOT NULL,
	`assertion` text,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	PRIMARY KEY(`org_id`, `id`)
);
--> statement-breakpoint
CREATE TABLE `refusals` (
	`org_id` text NOT NULL,
	`day` integer NOT NULL,
	`reason` text NOT NULL,
	`hint` text NOT NULL,
	`credential_id` text NOT NULL,
	`client` text NOT NULL,
	`address` text NOT NULL,
	`count` integer NOT NULL,
	`first_at` integer NOT NULL,
	`last_at` integer NOT NULL,
	PRIMARY KEY(`org_id`, `day`, `reason`, `hint`, `credential_id`, `client`, `address`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `refusals_day` ON `refusals` (`day`);--> statement-breakpoint
DROP INDEX `credentials_generation`;--> statement-breakpoint
DROP INDEX `credentials_current`;--> statement-breakpoint
ALTER TABLE `credentials` ADD `subject` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `credentials` ADD `current_since` integer;--> statement-breakpoint
ALTER TABLE `credentials` ADD `current_by` text;--> statement-breakpoint
ALTER TABLE `credentials` ADD `replaced_at` integer;--> statement-breakpoint
ALTER TABLE `credentials` ADD `replaced_by` text;--> statement-breakpoint
ALTER TABLE `credentials` ADD `grace_until` integer;--> statement-breakpoint
ALTER TABLE `credentials` ADD `retire_on_use` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `credentials` ADD `last_used_at` integer;--> statement-breakpoint
ALTER TABLE `credentials` ADD `last_used_client` text;--> statement-breakpoint
ALTER TABLE `credentials` ADD `last_used_address` text;--> statement-breakpoint
ALTER TABLE `credentials` ADD `warned_days` integer;--> statement-breakpoint
ALTER TABLE `credentials` ADD `grant_id` text;--> statement-breakpoint
UPDATE `credentials` SET `current_since` = `created_at`, `current_by` = `created_by`;--> statement-breakpoint
CREATE UNIQUE INDEX `credentials_predecessor` ON `credentials` (`org_id`,`kind`,`subject`) WHERE generation > 0 AND revoked_at IS NULL AND replaced_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX `credentials_grant` ON `credentials` (`org_id`,`grant_id`) WHERE grant_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX `credentials_subject` ON `credentials` (`org_id`,`subject`) WHERE subject <> '';--> statement-breakpoint
CREATE INDEX `credentials_valid_until` ON `credentials` (`kind`,`valid_until`) WHERE valid_until IS NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX `credentials_generation` ON `credentials` (`org_id`,`kind`,`subject`,`generation`) WHERE generation > 0;--> statement-breakpoint
CREATE UNIQUE INDEX `credentials_current` ON `credentials` (`org_id`,`kind`,`subject`) WHERE generation > 0 AND revoked_at IS NULL AND replaced_at IS NULL;