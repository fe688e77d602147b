-- Which profile an org has: each change of what a profile holds (src/store/org/profile.ts) moves the number. Triggers do, so
-- that no statement can forget it. It begins anywhere: an org that is deleted and imported again does not repeat a number.
ALTER TABLE `orgs` ADD `revision` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
UPDATE `orgs` SET `revision` = random() & 0xFFFFFFFFFFFF;--> statement-breakpoint
CREATE TRIGGER `orgs_revision_begins` AFTER INSERT ON `orgs`
BEGIN
  UPDATE `orgs` SET `revision` = random() & 0xFFFFFFFFFFFF WHERE `id` = NEW.`id`;
END;--> statement-breakpoint
CREATE TRIGGER `orgs_revision` AFTER UPDATE OF `slug`, `name`, `settings`, `scim_enabled`, `disabled_at`, `cursor_key` ON `orgs`
BEGIN
  UPDATE `orgs` SET `revision` = `revision` + 1 WHERE `id` = NEW.`id`;
END;--> statement-breakpoint
CREATE TRIGGER `schemas_added` AFTER INSERT ON `schemas`
BEGIN
  UPDATE `orgs` SET `revision` = `revision` + 1 WHERE `id` = NEW.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `schemas_changed` AFTER UPDATE ON `schemas`
BEGIN
  UPDATE `orgs` SET `revision` = `revision` + 1 WHERE `id` = NEW.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `schemas_removed` AFTER DELETE ON `schemas`
BEGIN
  UPDATE `orgs` SET `revision` = `revision` + 1 WHERE `id` = OLD.`org_id`;
END;
