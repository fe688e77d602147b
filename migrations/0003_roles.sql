CREATE TABLE `group_permissions` (
	`org_id` text NOT NULL,
	`group_seq` integer NOT NULL,
	`permission` text NOT NULL,
	PRIMARY KEY(`org_id`, `group_seq`, `permission`)
) WITHOUT ROWID;
