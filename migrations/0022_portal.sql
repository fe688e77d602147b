-- The customer's portal: links, sessions, domains that are proved by DNS, and which attributes arrive.
CREATE TABLE `attribute_counts` (
	`org_id` text NOT NULL,
	`day` integer NOT NULL,
	`resource_type` text NOT NULL,
	`name` text NOT NULL,
	`is_ignored` integer NOT NULL,
	`count` integer NOT NULL,
	`last_at` integer NOT NULL,
	PRIMARY KEY(`org_id`, `day`, `resource_type`, `name`, `is_ignored`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `attribute_counts_day` ON `attribute_counts` (`day`);--> statement-breakpoint
CREATE TABLE `portal_domains` (
	`org_id` text NOT NULL,
	`domain` text NOT NULL,
	`value` text NOT NULL,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	`verified_at` integer,
	`checked_at` integer,
	`missing_since` integer,
	PRIMARY KEY(`org_id`, `domain`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `portal_domains_checked_at` ON `portal_domains` (`checked_at`);--> statement-breakpoint
CREATE TABLE `portal_links` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`hash` text NOT NULL,
	`scope` text NOT NULL,
	`contact` text NOT NULL,
	`return_url` text,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	`expires_at` integer NOT NULL,
	`opened_at` integer,
	`revoked_at` integer,
	`revoked_by` text,
	PRIMARY KEY(`org_id`, `id`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `portal_links_hash` ON `portal_links` (`org_id`,`hash`);--> statement-breakpoint
CREATE INDEX `portal_links_expires_at` ON `portal_links` (`expires_at`);--> statement-breakpoint
CREATE TABLE `portal_sessions` (
	`org_id` text NOT NULL,
	`hash` text NOT NULL,
	`link_id` text NOT NULL,
	`started_at` integer NOT NULL,
	`last_seen_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`org_id`, `hash`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `portal_sessions_expires_at` ON `portal_sessions` (`expires_at`);
