-- How long a month took to be computed, in milliseconds: of one that takes long, readers of pages are shown the last
-- documents with their time while use comes in, and nobody waits (jangbu/web/open_months.py).
alter table open_month add column took_ms bigint not null default 0;
