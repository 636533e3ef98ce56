-- Who looks again and again for what was written since the last time asks by transaction, not by hour. The index by hours
-- knows pages only once they have been summed up, which comes minutes after they were written: until then each look read
-- all of them. Numbers of transactions only rise, so that a row costs this index a place at its end.
create index usage_part_written on usage_part (written);
