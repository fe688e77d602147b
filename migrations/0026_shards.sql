CREATE TABLE `catalogue` (
	`org_id` text PRIMARY KEY NOT NULL,
	`slug` text,
	`binding` text NOT NULL,
	`since` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `catalogue_slug` ON `catalogue` (`slug`);--> statement-breakpoint
CREATE TABLE `frozen_orgs` (
	`org_id` text PRIMARY KEY NOT NULL,
	`since` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `moved_orgs` (
	`org_id` text PRIMARY KEY NOT NULL,
	`org` text NOT NULL,
	`moved_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `moves` (
	`org_id` text PRIMARY KEY NOT NULL,
	`slug` text NOT NULL,
	`source` text NOT NULL,
	`target` text NOT NULL,
	`state` text NOT NULL,
	`place` text DEFAULT '{}' NOT NULL,
	`by` text NOT NULL,
	`started_at` integer NOT NULL,
	`worked_at` integer NOT NULL,
	`switched_at` integer,
	`switched_seq` integer,
	`error` text,
	`is_return` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE `shards` (
	`binding` text PRIMARY KEY NOT NULL,
	`adopted_at` integer NOT NULL
);
