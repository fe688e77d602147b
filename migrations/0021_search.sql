-- What a search asks for most, and what a group shows of its members, so that no other rows are read. The condition on
-- org_id always holds: only a statement that repeats it can use the index (list.ts and memberships.ts in src/store/directory).
CREATE INDEX `users_search` ON `users` (`org_id`,`seq`,`id`,`user_name_key`,`external_id`,json_extract(`folded`, '$."displayName"'),coalesce(json_extract(`resource`, '$.displayName'), json_extract(`resource`, '$.userName')),`deleted_at`) WHERE deleted_at IS NULL AND org_id <> '';
