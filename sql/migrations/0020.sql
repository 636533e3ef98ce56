-- Enforcement of quotas: which gateway processes hold which slices of hard quotas, and which of their settled calls may
-- not be in the sums yet (billing/quotas/leases.py says why the three add up without counting a call twice).
--
-- Amounts are whole ticks: units of a quantity, billionths of a currency.

-- A quota may be a programme's: what its people use of its models while they have a place counts.
alter table quota drop constraint quota_scope_check;
alter table quota add constraint quota_scope_check
  check (scope in ('organisation', 'department', 'programme', 'user'));

-- One life of one gateway process. `slot` is its outbox, which one life has after another; `last_report` the number of
-- the newest report that was applied. `ended_at`: it told its end, or the next life of its slot began; `drained_at`: the
-- next life told that nothing of it is left in the outbox; `closed_at`: its slices count no more.
create table quota_process (
  id bigint generated always as identity primary key,
  life text not null unique check (life <> ''),
  slot text not null check (slot <> ''),
  source text not null check (source <> ''),
  last_report bigint not null default 0 check (last_report >= 0),
  heard_at timestamptz not null default now(),
  ended_at timestamptz,
  drained_at timestamptz,
  closed_at timestamptz
);
create index quota_process_slot on quota_process (slot);

-- A process's slice of one quota's window. All three amounts only grow; what it may still use is granted - returned -
-- settled, and that is what counts as spent until `closed_at`.
create table quota_lease (
  process_id bigint not null references quota_process,
  quota_id integer not null references quota,
  subject text not null,
  window_hour integer not null,
  granted numeric not null default 0 check (granted >= 0),
  returned numeric not null default 0 check (returned >= 0),
  settled numeric not null default 0 check (settled >= 0),
  closed_at timestamptz,
  primary key (process_id, quota_id, subject, window_hour)
);
create index quota_lease_account on quota_lease (quota_id, subject, window_hour) where closed_at is null;

-- A call that a process settled: it counts beside the sums until its event is in them. Kept for a while after that, since
-- each door knows an older or newer state of the sums.
create table quota_settled (
  id bigint generated always as identity primary key,
  event_key uuid not null,
  quota_ids integer[] not null,
  subjects text[] not null,
  window_hours integer[] not null,
  amounts numeric[] not null,
  settled_at timestamptz not null default now(),
  check (cardinality(quota_ids) = cardinality(subjects) and cardinality(subjects) = cardinality(window_hours)
         and cardinality(window_hours) = cardinality(amounts))
);
create index quota_settled_at on quota_settled (settled_at);

-- Whoever listens to jangbu_sums hears that sums or registers have changed, once a transaction.
create function tell_change() returns trigger language plpgsql as $$
begin
  perform pg_notify('jangbu_sums', '');
  return null;
end $$;
create trigger tell_change after insert on stream_chunk for each statement execute function tell_change();
create trigger tell_change after insert on register_import for each statement execute function tell_change();

grant select on quota_process, quota_lease, quota_settled to jangbu_billing, jangbu_reader;
grant insert, update on quota_process, quota_lease to jangbu_billing;
grant insert, delete on quota_settled to jangbu_billing;
