-- What a search asks for most, so that it reads no rows but those it leaves. The condition on org_id always holds: only a
-- statement that repeats it can use the index (src/store/directory/list.ts).
CREATE INDEX `users_search` ON `users` (`org_id`,`seq`,`user_name_key`,`external_id`,json_extract(`folded`, '$."displayName"'),`deleted_at`) WHERE deleted_at IS NULL AND org_id <> '';
