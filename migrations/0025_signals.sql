-- Who may send signals to an org, and why sessions were ended.
CREATE TABLE `signal_sources` (
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`type` text NOT NULL,
	`issuer` text NOT NULL,
	`jwks_url` text NOT NULL,
	`audience` text,
	`subject` text NOT NULL,
	`policy` text DEFAULT '{}' NOT NULL,
	`stream` text,
	`status` text,
	`verified_at` integer,
	`last_signal_at` integer,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	PRIMARY KEY(`org_id`, `id`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `signal_sources_issuer` ON `signal_sources` (`org_id`,`type`,`issuer`);--> statement-breakpoint
ALTER TABLE `orgs` ADD `ended_by` text;--> statement-breakpoint
ALTER TABLE `users` ADD `ended_by` text;
