-- Deliveries of alerts: at least once, with an id that stays. A row is made with its alert, in one transaction; whoever
-- sends locks it, so that one process at a time does, and a crash after sending sends again under the same id.
create table alert_delivery (
  id text primary key check (id ~ '^[0-9a-f]{32}$'),
  alert_id bigint not null references quota_alert,
  recipient text not null check (recipient <> ''),
  state text not null default 'waiting' check (state in ('waiting', 'sent', 'dead')),
  attempts integer not null default 0 check (attempts >= 0),
  next_at timestamptz not null default now(),
  last_error text,
  sent_at timestamptz check ((sent_at is not null) = (state = 'sent')),
  unique (alert_id, recipient)
);
create index alert_delivery_waiting on alert_delivery (next_at) where state = 'waiting';

create trigger refuse_change before delete on alert_delivery for each row execute function refuse_change();
create trigger refuse_sent before update on alert_delivery for each row
  when (old.state = 'sent' or (old.id, old.alert_id, old.recipient) is distinct from
                               (new.id, new.alert_id, new.recipient))
  execute function refuse_change();
create trigger refuse_truncate before truncate on alert_delivery for each statement execute function refuse_change();

grant select on alert_delivery to jangbu_billing, jangbu_reader;
grant insert on alert_delivery to jangbu_billing;
grant update (state, attempts, next_at, last_error, sent_at) on alert_delivery to jangbu_billing;
