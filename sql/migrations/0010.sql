-- Decisions about breaks: what persons did with a difference that reconciliation found, and which amount they decided
-- about. Rows are only added; the newest row of a break says what holds (view break_standing). What is booked is what was
-- decided: `amount` and its `parts` by the vendor's days, not what a later reconciliation finds.
--
-- A break is known by (vendor, month, currency, fingerprint); the fingerprint is SHA-256 of what it is about without day,
-- month and amount (billing/breaks/identity.py), so that it is the same in every run and in the months that follow.

create table break_decision (
  id bigint generated always as identity primary key,
  vendor text not null check (vendor <> ''),
  month text not null check (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  fingerprint text not null check (fingerprint ~ '^[0-9a-f]{64}$'),
  class text not null check (class <> ''),
  key jsonb not null,
  place integer not null check (place > 0),
  action text not null check (action in ('accept', 'dispute', 'resolve', 'writeoff', 'propose', 'confirm', 'reopen',
                                         'assign', 'comment')),
  state text not null check (state in ('open', 'accepted', 'disputed', 'resolved', 'written_off')),
  amount numeric,
  parts jsonb,
  proposed numeric,
  owner text check (owner <> ''),
  confirms bigint references break_decision,
  reason text not null check (reason ~ '\S' and length(reason) <= 2000),
  actor text not null check (actor <> ''),
  database_login text not null default session_user,
  decided_at timestamptz not null default now(),
  unique (vendor, month, currency, fingerprint, place),
  check ((state = 'open') = (amount is null)),
  check ((amount is null) = (parts is null)),
  check ((action = 'confirm') = (confirms is not null)),
  check (action <> 'propose' or proposed is not null),
  check (action in ('propose', 'assign', 'comment') or proposed is null)
);
create index break_decision_fingerprint on break_decision (fingerprint, month);

-- One decision after the other: of two that were made about the same state, the second is refused (`place` is taken).
-- The parts add up to the amount. A second person is another web or token identity than the one that proposed.
create function check_break_decision() returns trigger
  language plpgsql as $$
declare
  before break_decision;
  proposal break_decision;
begin
  select * into before from break_decision
    where (vendor, month, currency, fingerprint) = (new.vendor, new.month, new.currency, new.fingerprint)
    order by place desc limit 1;
  if new.place <> coalesce(before.place, 0) + 1 then
    raise exception 'break % of % % was decided by % meanwhile: look again', left(new.fingerprint, 10), new.vendor,
      new.month, before.actor using errcode = 'restrict_violation';
  end if;
  if new.amount <> (select coalesce(sum((part ->> 'amount')::numeric), 0) from jsonb_array_elements(new.parts) part)
  then
    raise exception 'the parts of break % do not add up to %', left(new.fingerprint, 10), new.amount
      using errcode = 'check_violation';
  end if;
  if new.action = 'confirm' then
    select * into proposal from break_decision where id = new.confirms;
    if (proposal.vendor, proposal.month, proposal.currency, proposal.fingerprint)
         is distinct from (new.vendor, new.month, new.currency, new.fingerprint)
       or proposal.action <> 'propose' or before.proposed is null or new.amount <> proposal.proposed
       or new.state <> 'written_off' then
      raise exception 'nothing that waits is confirmed by this' using errcode = 'restrict_violation';
    end if;
    if new.actor !~ '^(web|token):.' or proposal.actor !~ '^(web|token):.'
       or split_part(new.actor, ':', 2) = split_part(proposal.actor, ':', 2) then
      raise exception 'a second person is another web or token identity: % proposed, % confirms', proposal.actor,
        new.actor using errcode = 'restrict_violation';
    end if;
  end if;
  return new;
end $$;
create trigger check_break_decision before insert on break_decision
  for each row execute function check_break_decision();

create view break_standing as
  select distinct on (vendor, month, currency, fingerprint) *
  from break_decision order by vendor, month, currency, fingerprint, place desc;

create trigger refuse_change before update or delete or truncate on break_decision
  for each statement execute function refuse_change();

grant select on break_decision, break_standing to jangbu_billing, jangbu_reader;
grant insert on break_decision to jangbu_billing;
