CREATE TABLE `schemas` (
	`org_id` text NOT NULL,
	`urn_key` text NOT NULL,
	`resource_type` text NOT NULL,
	`definition` text NOT NULL,
	`added_at` integer NOT NULL,
	PRIMARY KEY(`org_id`, `urn_key`)
);
--> statement-breakpoint
ALTER TABLE `orgs` ADD `schema_version` text DEFAULT '' NOT NULL;