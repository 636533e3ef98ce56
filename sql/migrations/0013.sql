-- What persons decide about records in quarantine: dismissed as not to be counted, or taken back from that. Only added;
-- the newest row of a record says what holds, and `quarantine.state` follows it. A record itself is never deleted: it
-- stays among what law 1 counts.

create table quarantine_decision (
  id bigint generated always as identity primary key,
  quarantine_id bigint not null references quarantine,
  decision text not null check (decision in ('dismissed', 'reopened')),
  reason text not null check (reason ~ '\S' and length(reason) <= 2000),
  actor text not null,
  database_login text not null default session_user,
  decided_at timestamptz not null default now()
);
create index quarantine_decision_of on quarantine_decision (quarantine_id, id);

-- The one door: a decision moves the state, and one that does not fit the state is refused.
create function apply_quarantine_decision() returns trigger
  language plpgsql as $$
declare
  expected text := case new.decision when 'dismissed' then 'open' else 'dismissed' end;
begin
  update quarantine set state = case new.decision when 'dismissed' then 'dismissed' else 'open' end,
                        decided_at = new.decided_at, decided_by = new.actor
  where id = new.quarantine_id and state = expected;
  if not found then
    raise exception 'quarantine entry % is not %: it cannot be %', new.quarantine_id, expected, new.decision
      using errcode = 'restrict_violation';
  end if;
  return null;
end $$;

create trigger apply_quarantine_decision after insert on quarantine_decision
  for each row execute function apply_quarantine_decision();

-- Nobody is dismissed, or taken back, without a row that says who, when and why.
create function refuse_undecided() returns trigger
  language plpgsql as $$
begin
  if (new.state = 'dismissed') <> coalesce(
       (select decision = 'dismissed' from quarantine_decision where quarantine_id = new.id order by id desc limit 1),
       false)
  then
    raise exception 'quarantine entry % cannot become % without a row in quarantine_decision', new.id, new.state
      using errcode = 'restrict_violation';
  end if;
  return null;
end $$;

create trigger refuse_undecided after update of state on quarantine
  for each row when ('dismissed' in (old.state, new.state)) execute function refuse_undecided();

create trigger refuse_change before update or delete on quarantine_decision
  for each row execute function refuse_change();
create trigger refuse_truncate before truncate on quarantine_decision
  for each statement execute function refuse_change();

grant select on quarantine_decision to jangbu_worker, jangbu_billing, jangbu_reader;
grant insert on quarantine_decision to jangbu_billing;
