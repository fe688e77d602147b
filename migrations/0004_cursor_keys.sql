-- Each org's own key, which signs its cursors. ADD COLUMN takes no default that differs by row, so a trigger gives new orgs theirs.
ALTER TABLE `orgs` ADD `cursor_key` text DEFAULT '' NOT NULL;--> statement-breakpoint
UPDATE `orgs` SET `cursor_key` = lower(hex(randomblob(32)));--> statement-breakpoint
CREATE TRIGGER `orgs_cursor_key` AFTER INSERT ON `orgs` WHEN NEW.`cursor_key` = ''
BEGIN
  UPDATE `orgs` SET `cursor_key` = lower(hex(randomblob(32))) WHERE `id` = NEW.`id`;
END;
