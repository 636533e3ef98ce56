-- Usage: from the topic to hourly sums. Quantities only, no money.
--
-- Hours are counted since 1970-01-01T00:00Z (integer), so that a row is small and no zone is implied.
-- Rows of usage_event refer to route and payer without foreign keys: a check for each of 100 million rows costs more
-- than the row; the law 2-sums finds an event without its route or payer.

do $$
declare role_name text;
begin
  foreach role_name in array array['jangbu_worker', 'jangbu_billing', 'jangbu_reader'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      execute format('create role %I nologin', role_name);
    end if;
  end loop;
end $$;

-- What a worker remembers of slowly changing facts; raised in the transaction that changes the roster or a threshold.
-- A chunk's transaction locks it FOR SHARE and, where it moved, forgets what it remembered.
create table reference_version (
  only_row boolean primary key default true check (only_row),
  version bigint not null default 1
);
insert into reference_version default values;

-- Who belongs to which department, half-open in time. A row names a user, a key, or both.
create table roster (
  id bigint generated always as identity primary key,
  "user" text,
  key text,
  department text not null,
  department_name text,
  cost_centre text,
  valid_from timestamptz not null,
  valid_to timestamptz,
  pledge_signed_on date,
  check (valid_to is null or valid_to > valid_from),
  check ("user" is not null or key is not null)
);
create index roster_user on roster ("user");
create index roster_key on roster (key);

-- Prompt lengths, in input tokens, above which some price differs (contract.md, section 9).
create table prompt_threshold (
  tokens_above bigint primary key check (tokens_above > 0),
  added_at timestamptz not null default now()
);

-- Where usage went: one row for each combination seen. Small, so that an event holds 4 bytes of it.
create table route (
  id integer generated always as identity primary key,
  source text not null,
  provider text not null,
  model text not null,
  account text,
  service_tier text not null,
  region text,
  operation text,
  status text not null,
  usage_source text not null,
  reported_currency text,
  unique nulls not distinct (source, provider, model, account, service_tier, region, operation, status, usage_source,
                             reported_currency)
);

-- Who pays. `department` is null where nobody is known; `attributed_by` says who named it.
create table payer (
  id integer generated always as identity primary key,
  department text,
  attributed_by text not null check (attributed_by in ('event', 'key', 'user', 'nobody')),
  "user" text,
  key text,
  unique nulls not distinct (department, attributed_by, "user", key),
  check ((department is null) = (attributed_by = 'nobody'))
);

-- One life of one topic: offsets of a topic that was made again, or of another cluster, count anew.
create table topic_log (
  id smallint generated always as identity primary key,
  cluster_id text not null,
  topic text not null,
  topic_id text not null,
  first_seen timestamptz not null default now(),
  unique (cluster_id, topic, topic_id)
);

-- How far each partition has been read. The only truth about offsets; Kafka's own are for lag tools.
create table stream_offset (
  log_id smallint not null references topic_log,
  partition integer not null,
  next_offset bigint not null default 0 check (next_offset >= 0),
  primary key (log_id, partition)
);

-- One row for each transaction of a worker: law 1 counts here.
create table stream_chunk (
  log_id smallint not null references topic_log,
  partition integer not null,
  first_offset bigint not null,
  next_offset bigint not null check (next_offset > first_offset),
  records integer not null check (records between 0 and next_offset - first_offset),
  stored integer not null check (stored >= 0),
  duplicates integer not null check (duplicates >= 0),
  quarantined integer not null check (quarantined >= 0),
  worker text not null,
  committed_at timestamptz not null default now(),
  primary key (log_id, partition, first_offset),
  check (records = stored + duplicates + quarantined)
);

-- Stretches of the log that Kafka removed before they were read, and who accepted their loss. Never silently empty.
create table stream_lost (
  log_id smallint not null references topic_log,
  partition integer not null,
  first_offset bigint not null,
  next_offset bigint not null check (next_offset > first_offset),
  reason text not null,
  accepted_by text not null,
  accepted_at timestamptz not null default now(),
  primary key (log_id, partition, first_offset)
);

-- Each accepted event once. The key is 4 bytes of UTC hour, then 12 of SHA-256 over (source, id): inserts of one time
-- meet the same pages whatever the ledger's size.
create table usage_event (
  event_key uuid not null,
  time timestamptz not null,
  kafka_offset bigint not null,
  prompt_tokens bigint,
  route_id integer not null,
  payer_id integer not null,
  partition integer not null,
  log_id smallint not null,
  attempt smallint,
  input_tokens bigint,
  cache_read_tokens bigint,
  cache_write_5m_tokens bigint,
  cache_write_1h_tokens bigint,
  cache_write_tokens bigint,
  output_tokens bigint,
  reasoning_tokens bigint,
  audio_input_tokens bigint,
  audio_output_tokens bigint,
  image_input_tokens bigint,
  image_output_tokens bigint,
  video_input_tokens bigint,
  web_searches bigint,
  requests bigint,
  event_id text not null,
  reported_cost text,
  tags jsonb,
  other_units jsonb,
  primary key (event_key)
);
alter table usage_event set (autovacuum_vacuum_insert_scale_factor = 0.05);

-- Hourly sums as parts: each transaction appends what it adds; a sum is the total of its parts. `reason` says why a
-- part stands: chunk, roster, threshold or copy (a copy taken out again by a negative part).
create table usage_part (
  hour integer not null,
  band bigint not null default 0,
  route_id integer not null,
  payer_id integer not null,
  partition integer not null,
  log_id smallint not null,
  reason text not null default 'chunk',
  events bigint not null,
  input_tokens bigint,
  cache_read_tokens bigint,
  cache_write_5m_tokens bigint,
  cache_write_1h_tokens bigint,
  cache_write_tokens bigint,
  output_tokens bigint,
  reasoning_tokens bigint,
  audio_input_tokens bigint,
  audio_output_tokens bigint,
  image_input_tokens bigint,
  image_output_tokens bigint,
  video_input_tokens bigint,
  web_searches bigint,
  requests bigint,
  other_units jsonb
);
create index usage_part_hour on usage_part using brin (hour) with (pages_per_range = 32);

-- Records that are no event, or that contradict one. The worker goes on; a person looks.
create table quarantine (
  id bigint generated always as identity primary key,
  log_id smallint not null references topic_log,
  partition integer not null,
  kafka_offset bigint not null,
  record_time timestamptz not null,
  code text not null,
  field text not null,
  value text not null,
  reason text not null,
  record_key bytea,
  record_value bytea,
  event_key uuid,
  state text not null default 'open' check (state in ('open', 'redriven', 'dismissed')),
  found_at timestamptz not null default now(),
  decided_at timestamptz,
  decided_by text
);
create unique index quarantine_record on quarantine (log_id, partition, kafka_offset) where code <> 'duplicate_other_time';

-- The largest threshold that a prompt exceeds; 0 where none.
create function prompt_band(prompt_tokens bigint) returns bigint
  language sql stable parallel safe
  return coalesce((select max(tokens_above) from prompt_threshold where tokens_above < prompt_tokens), 0);

create function hour_of(moment timestamptz) returns integer
  language sql immutable parallel safe
  return floor(extract(epoch from moment) / 3600)::integer;

create function hour_start(hour integer) returns timestamptz
  language sql immutable parallel safe
  return to_timestamp(hour * 3600::double precision);

create function hour_of_key(event_key uuid) returns integer
  language sql immutable parallel safe
  return ('x' || left(event_key::text, 8))::bit(32)::integer;
